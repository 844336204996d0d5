"""Whether a server that does not answer can still be there: by who holds what listens at its address."""

import dataclasses

import pytest

from remit.control.watch_servers import still_listens
from remit.inventory import Workload
from remit.inventory.listening import Holding
from tests.control.test_realm import a_server

ITS_OWN = dataclasses.replace(a_server(), pid=10, uid=1000)
UNSEEN = dataclasses.replace(a_server(), pid=None, uid=0)
NOTHING_KNOWN = dataclasses.replace(a_server(), pid=None, uid=None)


@pytest.mark.parametrize(
    ("workload", "there", "may_be"),
    [
        (ITS_OWN, [], False),
        (ITS_OWN, [Holding((10, 11), 1000)], True),
        (ITS_OWN, [Holding((11,), 1000)], False),
        (ITS_OWN, [Holding((11,), 1000), Holding((10,), 1000)], True),
        (ITS_OWN, [Holding((), 1000)], True),
        (ITS_OWN, [Holding((), 1001)], False),
        (UNSEEN, [], False),
        (UNSEEN, [Holding((), 0)], True),
        (UNSEEN, [Holding((), 1001)], False),
        (UNSEEN, [Holding((11,), 0)], False),
        (UNSEEN, [Holding((), None)], True),
        (NOTHING_KNOWN, [Holding((), 1001)], True),
        (NOTHING_KNOWN, [Holding((11,), 1001)], False),
    ],
)
def test_it_can_be_there(workload: Workload, there: list[Holding], may_be: bool) -> None:
    assert still_listens(workload, there) is may_be
