"""The state in SQLite: what is saved is there after a restart, and damage is named."""

import dataclasses
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import remit.storage
from remit.errors import StateError
from remit.identity import SpiffeId
from remit.inventory import Capability, Human, Kind, LifeState, Model, Workload
from remit.persons.passkeys import Passkey
from remit.storage import Store
from remit.storage.store import HEAD
from remit.storage.tables import Base
from remit.tasks import Task
from tests.docs.pages import text

LLAMA = SpiffeId.parse("spiffe://maple.local/inference/llama-8080")


def a_workload() -> Workload:
    return Workload(
        spiffe_id=LLAMA,
        name="llama-8080",
        kind=Kind.MODEL_SERVER,
        owner="ada",
        server="llama.cpp",
        upstream="http://127.0.0.1:8080",
        reach="loopback",
        capabilities=(Capability.STORE,),
        models=(Model("smol", "sha256:00", "/m.gguf"),),
    )


def a_task() -> Task:
    return Task("t-1", "ada", LLAMA, ("infer",), "try it", 10.0, 20.0, "00", "terminal")


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    store.save_human(Human("ada", "p-1", (1000,)))
    store.save_workload(a_workload())
    store.save_task(a_task())
    store.save_meta("trust_domain", "maple.local")
    store.close()
    store = Store(tmp_path / "state.db")
    assert list(store.humans()) == [Human("ada", "p-1", (1000,))]
    assert list(store.workloads()) == [a_workload()]
    assert list(store.tasks()) == [a_task()]
    assert store.meta("trust_domain") == "maple.local"
    assert store.meta("absent") is None
    store.close()


def test_a_login_is_one_person_s(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    ada = Human("ada", "p-1", (1000,), ("https://login.maple.example", "24400320"))
    store.save_human(ada)
    store.save_human(Human("bob", "p-2", (1001,)))
    store.save_human(Human("eve", "p-3", (1002,)))
    with pytest.raises(StateError, match="UNIQUE"):
        store.save_human(Human("bob", "p-2", (1001,), ada.login))
    store.close()
    store = Store(tmp_path / "state.db")
    assert [human.login for human in store.humans()] == [ada.login, None, None]
    store.close()


def test_the_page_s_way_to_take_a_login_back_works(tmp_path: Path) -> None:
    [statement] = re.findall(r'^sqlite3 state\.db "([^"]+)"$', text("docs/login.md"), re.MULTILINE)
    store = Store(tmp_path / "state.db")
    store.save_human(Human("ada", "p-1", (1000,), ("https://login.maple.example", "24400320")))
    store.close()
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute(statement)
        database.commit()
    store = Store(tmp_path / "state.db")
    assert list(store.humans()) == [Human("ada", "p-1", (1000,))]
    store.close()


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    Store(tmp_path / "state.db").close()
    assert (tmp_path / "state.db").stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StateError, match=r"state\.db` can't be used"):
        Store(tmp_path / "state.db")


def test_a_newer_version_s_state_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    with store._engine.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    store.close()
    with pytest.raises(StateError, match="another version of Remit"):
        Store(tmp_path / "state.db")


def test_what_was_kept_before_there_was_a_lifecycle_is_in_force(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    old = a_workload().to_dict()
    for name in ("state", "state_since", "purpose", "vendor", "data_sets", "zone", "review_due"):
        del old[name]
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(remit.storage.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            sa.text("insert into workloads values (:id, :name, 'ada', :record)"),
            {"id": str(LLAMA), "name": "llama-8080", "record": json.dumps(old)},
        )
    engine.dispose()
    store = Store(path)
    assert list(store.workloads()) == [a_workload()]
    suspended = dataclasses.replace(a_workload(), state=LifeState.SUSPENDED, state_since=5.0)
    store.save_workload(suspended)
    store.close()
    store = Store(path)
    assert list(store.workloads()) == [suspended]
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("select state from workloads").scalars().all() == ["suspended"]
    store.close()


def test_the_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    with store._engine.connect() as connection:
        rows = connection.exec_driver_sql("select name from sqlite_master where type='table'").scalars().all()
    store.close()
    assert set(rows) - {"alembic_version"} == set(Base.metadata.tables)


def test_head_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(remit.storage.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_passkeys_are_kept_counted_and_dropped(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    first = Passkey(b"\x00id", b"\xffkey", 3, "ada", "laptop", created=1.0)
    store.save_passkey(first)
    store.save_passkey(dataclasses.replace(first, sign_count=2**32 - 1, last_used=2.0))
    store.close()
    again = Store(tmp_path / "state.db")
    assert again.passkeys() == [dataclasses.replace(first, sign_count=2**32 - 1, last_used=2.0)]
    again.drop_passkey(first.id)
    assert again.passkeys() == []
    again.close()
