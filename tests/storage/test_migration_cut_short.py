"""An upgrade that is killed at any statement leaves a state that the next start brings to its newest form, whole."""

import os
import shutil
import signal
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from remit.inventory import Human
from remit.storage import Store
from remit.storage.store import HEAD

ADA = Human("ada", "p-0123456789abcdef", (1000,))


def old_state(path: Path, revision: str = "0001") -> None:
    """A state as an older version left it."""
    import remit.storage

    config = Config()
    config.set_main_option("script_location", str(Path(remit.storage.__file__).parent / "migrations"))
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.execute(
            sa.text("insert into humans (name, person, uids) values (:name, :person, '[1000]')"),
            {"name": ADA.name, "person": ADA.person},
        )
    engine.dispose()


def opened_until(path: Path, statement: int) -> bool:
    """Open it in a child that is killed right before its statement number `statement`; whether it was."""
    pid = os.fork()
    if pid == 0:
        seen = 0

        def before(*_: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            sa.event.listen(sa.Engine, "before_cursor_execute", before)
            Store(path).close()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def test_an_upgrade_killed_at_any_statement_is_gone_on_with(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    old_state(old)
    for statement in range(1, 200):
        path = tmp_path / f"{statement}.db"
        shutil.copy(old, path)
        killed = opened_until(path, statement)
        store = Store(path)
        assert store.humans() == [ADA], statement
        store.close()
        with sqlite3.connect(path) as connection:
            assert connection.execute("select version_num from alembic_version").fetchone() == (HEAD,)
        connection.close()
        if not killed:
            break
    assert statement > 10
    assert not killed
