"""State behind each domain's own port: SQLite through SQLAlchemy."""

from remit.storage.store import Store

__all__ = ["Store"]
