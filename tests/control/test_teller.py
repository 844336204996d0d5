"""Events for `remit up`: told in order, and never waited for."""

import json
import os
import time
from typing import Any

from remit.control.teller import MAX_WAITING, REFUSALS_PER_SECOND, Teller


def read_all(fd: int) -> list[dict[str, Any]]:
    os.set_blocking(fd, False)
    data = b""
    try:
        while block := os.read(fd, 1 << 20):
            data += block
    except BlockingIOError:
        pass
    return [json.loads(line) for line in data.splitlines()]


def test_events_arrive_in_order() -> None:
    reader, writer = os.pipe()
    teller = Teller(writer)
    for number in range(50):
        teller.tell({"event": "note", "number": number})
    teller.close()
    assert [event["number"] for event in read_all(reader)] == list(range(50))
    os.close(reader)
    os.close(writer)


def test_a_flood_of_refusals_is_counted() -> None:
    reader, writer = os.pipe()
    teller = Teller(writer)
    for _ in range(500):
        teller.tell({"event": "refused"})
    teller.tell({"event": "note"})
    teller.close()
    events = read_all(reader)
    assert sum(event["event"] == "refused" for event in events) <= 2 * REFUSALS_PER_SECOND
    assert events[-1]["event"] == "note"
    assert events[-1]["left_out"] >= 500 - 2 * REFUSALS_PER_SECOND
    os.close(reader)
    os.close(writer)


def test_a_reader_that_does_not_read_holds_nothing_up() -> None:
    reader, writer = os.pipe()
    teller = Teller(writer)
    began = time.monotonic()
    for _ in range(2 * MAX_WAITING):
        teller.tell({"event": "note", "text": "x" * 1000})
    assert time.monotonic() - began < 5
    os.close(reader)
    teller.close()
    os.close(writer)
