"""A state that is kept nowhere, for an emergency: it begins with what can be read of the one on disk, unchanged."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

import sqlalchemy as sa

from remit.errors import StateError
from remit.storage.store import HEAD, Store
from remit.storage.tables import Base

LOCKED_SECONDS: Final = 1.0  # whoever has it locked is what is broken


class MemoryStore(Store):
    """People, workloads and tasks as `path` has them, where it can be read; no session and no passkey."""

    def __init__(self, path: Path) -> None:
        self._path = Path(":memory:")
        threads = {"check_same_thread": False}
        self._engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool, connect_args=threads)
        Base.metadata.create_all(self._engine)
        self.unread = self._take_over(path)
        """Why nothing was taken over, or empty."""

    def _take_over(self, path: Path) -> str:
        kept = _Kept(path)
        try:
            humans, workloads, tasks = kept.sound().humans(), kept.workloads(), kept.tasks()
        except StateError as error:
            return str(error)
        except (ValueError, KeyError, TypeError) as error:  # a row that no Remit wrote
            return f"`{path}` holds what can't be: {error!r}"
        finally:
            kept.close()
        for human in humans:
            self.save_human(human)
        for workload in workloads:
            self.save_workload(workload)
        for task in tasks:  # they only ever narrow
            self.save_task(task)
        return ""


class _Kept(Store):
    """The one on disk, read and never written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        url = sa.URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
        self._engine = sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args={"timeout": LOCKED_SECONDS})

    def sound(self) -> "_Kept":
        """Itself; raises StateError when it is damaged, or another version's."""
        with self._session() as session:
            found = session.scalar(sa.text("pragma quick_check(1)"))
            version = session.scalar(sa.text("select version_num from alembic_version"))
        if found != "ok" or version != HEAD:
            raise StateError(f"`{self._path}` can't be used: {found if found != 'ok' else 'another version of it'}")
        return self
