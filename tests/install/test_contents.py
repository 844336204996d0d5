"""Which stack PAM is asked by: the machine's own where the checker can ask it, else the machine's passwords."""

from pathlib import Path

import pytest

from remit.install.contents import pam

ACCOUNT = "account required pam_unix.so\n"
PLAIN = "auth [success=1 default=ignore] pam_unix.so nullok\n"
COUNTING = "auth required pam_faillock.so preauth\n" + PLAIN


def put(directory: Path, auth: str) -> None:
    (directory / "common-auth").write_text(auth)
    (directory / "common-account").write_text(ACCOUNT)


@pytest.mark.parametrize("auth", [PLAIN, "# not here: pam_faillock.so\n" + PLAIN])
def test_debians_common_stack_is_asked(tmp_path: Path, auth: str) -> None:
    put(tmp_path, auth)
    assert "@include common-auth\n@include common-account\n" in pam(tmp_path)


def test_a_stack_that_counts_for_itself_is_not_asked(tmp_path: Path) -> None:
    put(tmp_path, COUNTING)
    assert "@include" not in pam(tmp_path)
    assert "pam_unix.so" in pam(tmp_path)


def test_without_debians_files_passwords_are_asked(tmp_path: Path) -> None:
    (tmp_path / "system-auth").write_text(COUNTING)
    assert "@include" not in pam(tmp_path)
    assert "auth     required pam_unix.so\naccount  required pam_unix.so\n" in pam(tmp_path)
