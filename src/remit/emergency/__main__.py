"""Starts an emergency instance: `python -I -m remit.emergency [--state DIR | --system | --root]`.

`remit break-glass open` does. The first line on standard input says what is asked, and the instance lives no longer
than that input stays open. `--root` becomes Remit's own uid from root's first.
"""

import argparse
import asyncio
import os
import resource
import sys
from pathlib import Path
from typing import NoReturn

from remit.app import alone_with_nothing
from remit.config import SYSTEM_ACCOUNT, Places
from remit.errors import RemitError
from remit.sandbox import own_uid
from remit.sandbox.hardening import harden


def main() -> int:
    """Its exit status; START_AGAIN where control, which was not there when it was asked, is there by now."""
    parser = argparse.ArgumentParser(prog="remit.emergency")
    parser.add_argument("--state", type=Path)
    parser.add_argument("--system", action="store_true")
    parser.add_argument("--root", action="store_true")
    given = parser.parse_args()
    attestor, failed = None, None
    if given.root:
        failed = _become()
        if failed is None:
            _go_on()
    else:
        harden()
        attestor, failed = alone_with_nothing() if given.system else (None, None)  # before a thread: each has its own
    from remit.control.teller import Teller, error_event  # noqa: PLC0415 (not while this is root)
    from remit.emergency.start import start  # noqa: PLC0415

    teller = Teller()
    try:
        if failed is not None:
            raise failed
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        places = Places.system() if given.system else Places.of(given.state, os.environ)
        return asyncio.run(start(places, teller.tell, attestor))
    except RemitError as error:
        teller.tell(error_event(error))
        return error.exit_code
    finally:
        teller.close()


def _become() -> RemitError | None:
    """Be Remit's own uid, or say why that can't be. As `remit.app system`, without a checker of passwords."""
    places = Places.system()
    try:
        account = own_uid.account_of(SYSTEM_ACCOUNT)
        own_uid.check_state(places.state, account)
        own_uid.prepare_run(places.run, account)
        own_uid.become(account)
    except RemitError as error:
        return error
    return None


def _go_on() -> NoReturn:
    own_uid.execute([sys.executable, "-I", "-m", "remit.emergency", "--system"], frozenset())


if __name__ == "__main__":
    sys.exit(main())
