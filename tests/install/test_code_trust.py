"""Code that somebody else could have written is named: judged over made-up paths, and over real directories."""

import os
import stat
from pathlib import Path

import pytest

from remit.errors import StateError
from remit.install import code_trust
from remit.install.code_trust import Found, judge, walk

CODE = Path("/opt/remit/current/lib/site-packages")
REMIT_UID = 990


@pytest.mark.parametrize(
    ("name", "uid", "mode", "why"),
    [
        ("a.py", 0, stat.S_IFREG | 0o644, None),
        ("a.py", REMIT_UID, stat.S_IFREG | 0o644, None),
        ("a.py", 1000, stat.S_IFREG | 0o644, "uid 1000"),
        ("a.py", 0, stat.S_IFREG | 0o664, "others"),
        ("pkg", 0, stat.S_IFDIR | 0o757, "others"),
        ("pkg", 0, stat.S_IFDIR | 0o1777, "others"),
        ("link", 0, stat.S_IFLNK | 0o777, None),
        ("link", 1000, stat.S_IFLNK | 0o777, "uid 1000"),
        ("listed.pth", 0, stat.S_IFREG | 0o644, None),
        ("extra.pth", 0, stat.S_IFREG | 0o644, "each start"),
    ],
)
def test_each_path_is_judged(name: str, uid: int, mode: int, why: str | None) -> None:
    doubt = judge([Found(CODE / name, uid, mode)], {0, REMIT_UID}, {CODE / "listed.pth"})
    assert (
        (doubt is None)
        if why is None
        else (doubt is not None and why in doubt.why and str(CODE / name) in doubt.mend)
    )


def test_the_way_there_counts_and_where_links_lead(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b.py").touch()
    root = tmp_path / "code"
    root.mkdir()
    (root / "b.py").symlink_to(elsewhere / "b.py")
    seen = {found.path for found in walk([root])}
    assert {Path("/"), tmp_path, root, root / "b.py", elsewhere, elsewhere / "b.py"} <= seen


def test_this_process_is_judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert code_trust.first_untrusted({os.getuid(), 0}) is not None
    with pytest.raises(StateError, match="the code can't be trusted") as caught:
        code_trust.check_code(os.getuid())
    assert caught.value.hint


def test_a_file_that_runs_at_each_start_is_listed_by_a_distribution_or_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "one-1.0.dist-info").mkdir()
    (tmp_path / "one-1.0.dist-info" / "RECORD").write_text("one.pth,sha256=x,1\none/__init__.py,,\n")
    (tmp_path / "one.pth").touch()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    owners = {found.uid for found in walk([tmp_path])}

    def judged() -> code_trust.Untrusted | None:
        below = (found for found in walk([tmp_path]) if found.path.suffix == ".pth")
        return judge(below, owners, code_trust._listed())

    assert judged() is None
    (tmp_path / "other.pth").touch()
    doubt = judged()
    assert doubt is not None
    assert doubt.path == tmp_path / "other.pth"
