"""docs/install.md names every path that an installation changes, with its mode and owner."""

import re

from remit.install import places
from remit.install.plan import Account, Code, Directory, Do, File, Here, Kernel, Link, Options, Step, steps
from tests.docs.pages import rows

ROOT = "root"


def told(step: Step) -> tuple[str, str, str] | None:
    match step:
        case Directory() | File():
            return str(step.path), f"{step.mode:04o}", step.owner
        case Link():
            return str(step.path), "link", ROOT
        case Kernel():
            return str(step.path), "kernel", ROOT
        case Code():
            return str(places.OPT / "VERSION"), "0755", ROOT
        case Account() | Do():
            return None


def test_every_change_is_on_the_page() -> None:
    here = Here(systemd=True, sudo=True, tiocsti=True, policies=False, code="VERSION")
    written = [tuple(re.sub("`", "", cell) for cell in row[:3]) for row in rows("docs/install.md") if len(row) == 4]
    assert [one for one in map(told, steps(here, Options())) if one is not None] == written
