"""More ways than can be closed: whoever opens many opens nobody else's server by it."""

import ipaddress

from remit.control.shares import shares
from remit.control.ways import Around
from remit.sandbox.fence_line import Way

ADA, BOB, MOST = 1000, 1001, 64


def ways(first: int, count: int = 1) -> frozenset[Way]:
    return frozenset(Way.to(ipaddress.IPv4Address("127.0.0.1"), port) for port in range(first, first + count))


BOBS = Around(ways(11434))


def test_all_of_few_are_closed() -> None:
    assert shares([(ADA, Around(ways(8080), ways(9000, 3))), (BOB, BOBS)], (), MOST) == (
        ways(8080) | ways(9000, 3) | BOBS.own
    )


def test_one_uids_many_keep_no_other_uids_open() -> None:
    for crowd in (Around(ways(2000), ways(2001, 99)), Around(ways(2000, 100))):
        for known in ([(ADA, crowd), (BOB, BOBS)], [(BOB, BOBS), (ADA, crowd)]):
            closed = shares(known, crowd.every, MOST)
            assert BOBS.own <= closed
            assert len(closed) == MOST


def test_many_servers_are_no_more_than_one_uid() -> None:
    crowd = [(ADA, Around(ways(2000 + number))) for number in range(100)]
    assert BOBS.own <= shares([*crowd, (BOB, BOBS)], (), MOST)


def test_what_a_uid_opens_later_opens_nothing_of_its_own() -> None:
    first = Around(ways(8080), ways(8081))
    before = shares([(ADA, first)], (), MOST)
    crowd = [(ADA, Around(ways(2000 + number))) for number in range(100)]
    assert first.every <= shares([*crowd, (ADA, first)], before, MOST)
    assert first.every <= shares([(ADA, Around(ways(2000, 99), ways(3000, 99))), (ADA, first)], before, MOST)
