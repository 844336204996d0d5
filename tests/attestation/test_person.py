"""Which human runs a command."""

import pwd

import pytest

from remit.errors import IdentityError
from remit.identity.person import Person, person_of

NOBODY = pwd.getpwnam("nobody")
SUDO = {"SUDO_UID": str(NOBODY.pw_uid), "SUDO_USER": "nobody"}


def test_the_kernels_login_uid_names_the_person_whatever_sudo_says() -> None:
    named = Person("nobody", NOBODY.pw_uid, "loginuid")
    assert person_of(NOBODY.pw_uid, 0, {"SUDO_UID": "0", "SUDO_USER": "root"}) == named


def test_sudo_is_believed_of_a_process_that_runs_as_root() -> None:
    assert person_of(None, 0, SUDO) == Person("nobody", NOBODY.pw_uid, "sudo")


@pytest.mark.parametrize(
    ("effective_uid", "environ"),
    [
        (0, {}),
        (1000, {}),
        (1000, SUDO),
        (0, {"SUDO_UID": SUDO["SUDO_UID"]}),
        (0, {"SUDO_USER": "nobody"}),
        (0, {**SUDO, "SUDO_USER": "root"}),
        (0, {"SUDO_UID": "0", "SUDO_USER": "root"}),
        (0, {**SUDO, "SUDO_UID": "-1"}),
        (0, {**SUDO, "SUDO_UID": "²"}),
        (0, {**SUDO, "SUDO_UID": "4294967294"}),
        (0, {**SUDO, "SUDO_UID": "9" * 30}),
    ],
)
def test_without_proof_nobody_is_named_and_the_hint_says_how(effective_uid: int, environ: dict[str, str]) -> None:
    with pytest.raises(IdentityError) as refusal:
        person_of(None, effective_uid, environ)
    assert "--owner NAME" in refusal.value.hint


def test_a_login_uid_without_an_account_is_no_person() -> None:
    with pytest.raises(IdentityError, match="no account"):
        person_of(4294967294, 0, {})
