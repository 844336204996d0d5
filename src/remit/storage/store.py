"""The state of one instance in SQLite (WAL): implements the ports of `inventory`, `tasks` and `persons`."""

import dataclasses
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session as Connection

from remit.errors import StateError
from remit.inventory import Human, Workload
from remit.persons.passkeys import Passkey
from remit.storage.tables import ApprovalRow, HumanRow, MetaRow, PasskeyRow, SessionRow, TaskRow, WorkloadRow
from remit.tasks import ApprovalRequest, Session, Task

HEAD: Final = "0006"  # the newest revision in migrations/versions; a test compares them


class Store:
    """One instance's state. Every write is durable when it returns; raises StateError when it can't be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = sa.create_engine(f"sqlite:///{path}")
        sa.event.listen(self._engine, "connect", _durable)
        with self._guarded():
            path.touch(mode=0o600)
            self._migrate()

    def close(self) -> None:
        self._engine.dispose()

    def humans(self) -> Sequence[Human]:
        with self._session() as session:
            rows = session.scalars(sa.select(HumanRow).order_by(HumanRow.name)).all()
            return [Human(row.name, row.person, tuple(row.uids), _login(row)) for row in rows]

    def save_human(self, human: Human) -> None:
        issuer, subject = human.login or (None, None)
        row = HumanRow(name=human.name, person=human.person, uids=list(human.uids))
        row.login_issuer, row.login_subject = issuer, subject
        self._save(row)

    def workloads(self) -> Sequence[Workload]:
        with self._session() as session:
            rows = session.scalars(sa.select(WorkloadRow).order_by(WorkloadRow.spiffe_id)).all()
            return [Workload.from_dict(row.record) for row in rows]

    def save_workload(self, workload: Workload) -> None:
        record = workload.to_dict()
        self._save(
            WorkloadRow(
                spiffe_id=record["spiffe_id"],
                name=workload.name,
                owner=workload.owner,
                state=workload.state.value,
                record=record,
            )
        )

    def tasks(self) -> Sequence[Task]:
        with self._session() as session:
            rows = session.scalars(sa.select(TaskRow).order_by(TaskRow.id)).all()
            return [Task.from_dict(row.record) for row in rows]

    def save_task(self, task: Task) -> None:
        self._save(TaskRow(id=task.id, human=task.human, expires=task.expires, record=task.to_dict()))

    def drop_tasks(self, ids: Collection[str]) -> None:
        with self._session() as session:
            for task_id in ids:
                session.execute(sa.delete(TaskRow).where(TaskRow.id == task_id))
            session.commit()

    def sessions(self) -> Sequence[Session]:
        with self._session() as session:
            rows = session.scalars(sa.select(SessionRow).order_by(SessionRow.id)).all()
            return [Session.from_dict(row.record) for row in rows]

    def save_session(self, session: Session) -> None:
        self._save(SessionRow(id=session.id, human=session.human, expires=session.expires, record=session.to_dict()))

    def passkeys(self) -> Sequence[Passkey]:
        with self._session() as session:
            rows = session.scalars(sa.select(PasskeyRow).order_by(PasskeyRow.created)).all()
            return [
                Passkey(**{item.name: getattr(row, item.name) for item in dataclasses.fields(Passkey)})
                for row in rows
            ]

    def save_passkey(self, passkey: Passkey) -> None:
        self._save(PasskeyRow(**dataclasses.asdict(passkey)))

    def drop_passkey(self, passkey_id: bytes) -> None:
        with self._session() as session:
            session.execute(sa.delete(PasskeyRow).where(PasskeyRow.id == passkey_id))
            session.commit()

    def approvals(self) -> Sequence[ApprovalRequest]:
        with self._session() as session:
            rows = session.scalars(sa.select(ApprovalRow).order_by(ApprovalRow.asked)).all()
            return [ApprovalRequest.from_dict(row.record) for row in rows]

    def save_approval(self, request: ApprovalRequest) -> None:
        row = ApprovalRow(id=request.id, state=request.state.value, asked=request.asked, record=request.to_dict())
        self._save(row)

    def drop_approvals(self, ids: Collection[str]) -> None:
        with self._session() as session:
            for request_id in ids:
                session.execute(sa.delete(ApprovalRow).where(ApprovalRow.id == request_id))
            session.commit()

    def meta(self, key: str) -> str | None:
        with self._session() as session:
            return session.scalar(sa.select(MetaRow.value).where(MetaRow.key == key))

    def save_meta(self, key: str, value: str) -> None:
        self._save(MetaRow(key=key, value=value))

    def _save(self, row: object) -> None:
        with self._session() as session:
            session.merge(row)
            session.commit()

    @contextmanager
    def _session(self) -> Iterator[Connection]:
        with self._guarded(), Connection(self._engine) as session:
            yield session

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sqlite3.Error, OSError) as error:
            cause = getattr(error, "orig", None) or error
            raise StateError(
                f"`{self._path}` can't be used: {cause}",
                hint="check that the disk has room and the file is yours; the audit log is not affected",
            ) from error

    def _migrate(self) -> None:
        with self._engine.begin() as connection:
            present = sa.inspect(connection).has_table("alembic_version")
            version = connection.scalar(sa.text("select version_num from alembic_version")) if present else None
            if version == HEAD:
                return
            connection.exec_driver_sql("begin immediate")  # sqlite3 begins none for what changes tables
            _upgrade(connection, version, self._path)


def _login(row: HumanRow) -> tuple[str, str] | None:
    return (row.login_issuer, row.login_subject) if row.login_issuer and row.login_subject else None


def _upgrade(connection: sa.Connection, version: str | None, path: Path) -> None:
    from alembic import command  # noqa: PLC0415 (100 ms that only a new or older database pays)
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StateError(
            f"`{path}` was written by another version of Remit (revision `{version}`)",
            hint="run the newer version; nothing was changed",
        ) from error


def _durable(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("pragma journal_mode=wal")
    cursor.execute("pragma synchronous=full")
    cursor.close()
