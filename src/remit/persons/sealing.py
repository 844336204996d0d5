"""The recovery code sealed at the installation: by root, in a directory of the account that Remit runs as."""

import os
import pwd
from pathlib import Path
from typing import Final, NoReturn

from remit.errors import RemitError, StateError
from remit.persons.openings_book import OpeningsBook
from remit.persons.recovery_code import read_sealed, seal
from remit.secret import Secret

DIRECTORY: Final = "break-glass"  # below the state directory
_MAX_ANSWER: Final = 4096


def seal_at_install(state: Path, account: pwd.struct_passwd, now: float, *, anew: bool = False) -> Secret | None:
    """Seal a recovery code in `state` as `account`: the code, to be shown once; None where one is sealed already.

    `anew`: in the place of that one. A child becomes `account` first: root follows no link that account laid there.
    For a process with one thread. Raises StateError.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _seal(state / DIRECTORY, account, now, write, anew=anew)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        said = answer.read(_MAX_ANSWER).decode()
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise StateError(f"no recovery code was sealed: {said or 'the child that seals it was ended'}")
    return Secret(said) if said else None


def _seal(directory: Path, account: pwd.struct_passwd, now: float, answer: int, *, anew: bool) -> NoReturn:
    """The child: it ends here, whatever happens."""
    status, said = 1, ""
    try:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
            os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
        os.umask(0o077)
        code = seal(directory, now) if anew or read_sealed(directory) is None else None
        OpeningsBook(directory).keep_room()
        status, said = 0, code.reveal() if code is not None else ""
    except (RemitError, OSError) as error:
        said = str(error)
    finally:
        os.write(answer, said.encode()[:_MAX_ANSWER])
        os._exit(status)
