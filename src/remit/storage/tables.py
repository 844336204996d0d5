"""The tables, as SQLAlchemy knows them. `migrations/` makes them."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, Index, LargeBinary, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables of one instance."""


class HumanRow(Base):
    """One person and the pseudonym that stands for them in the log."""

    __tablename__ = "humans"
    name: Mapped[str] = mapped_column(String(256), primary_key=True)
    person: Mapped[str] = mapped_column(String(64), unique=True)
    uids: Mapped[list[int]] = mapped_column(JSON)
    login_issuer: Mapped[str | None] = mapped_column(String(2048))
    login_subject: Mapped[str | None] = mapped_column(String(255))
    __table_args__ = (Index("ix_humans_login", "login_issuer", "login_subject", unique=True),)


class WorkloadRow(Base):
    """One enrolled workload. `record` is `Workload.to_dict()`; the columns beside it are for look-ups."""

    __tablename__ = "workloads"
    spiffe_id: Mapped[str] = mapped_column(String(2048), primary_key=True)
    name: Mapped[str] = mapped_column(String(256), index=True)
    owner: Mapped[str] = mapped_column(String(256), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)


class TaskRow(Base):
    """One task. `record` is `Task.to_dict()`: it never holds the token."""

    __tablename__ = "tasks"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    human: Mapped[str] = mapped_column(String(256), index=True)
    expires: Mapped[float] = mapped_column(Float, index=True)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)


class SessionRow(Base):
    """One person's session. `record` is `Session.to_dict()`: it never holds the token."""

    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    human: Mapped[str] = mapped_column(String(256), index=True)
    expires: Mapped[float] = mapped_column(Float, index=True)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)


class PasskeyRow(Base):
    """One person's passkey: its public half, and how often it was used."""

    __tablename__ = "passkeys"
    id: Mapped[bytes] = mapped_column(LargeBinary(1023), primary_key=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    human: Mapped[str] = mapped_column(String(256), index=True)
    label: Mapped[str] = mapped_column(String(64))
    created: Mapped[float] = mapped_column(Float)
    last_used: Mapped[float | None] = mapped_column(Float)


class ApprovalRow(Base):
    """One request for an approval. `record` is `ApprovalRequest.to_dict()`: ids and labels, no contents."""

    __tablename__ = "approvals"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    asked: Mapped[float] = mapped_column(Float, index=True)
    record: Mapped[dict[str, Any]] = mapped_column(JSON)


class MetaRow(Base):
    """Single values of this instance, such as its trust domain."""

    __tablename__ = "meta"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(4096))
