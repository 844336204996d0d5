"""The compiled filter's cache, values that Remit holds, and hostile texts."""

import base64
import json
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.detect import HELD, Detector, KnownValues, Label
from remit.errors import ConfigError

TOKEN = "ghp_" + "A1b2C3d4E5f6" * 3
SECRET = b'top/secret+"value"'
DETECTOR = Detector()


def found(text: str, known: KnownValues) -> list[tuple[str, Label]]:
    return [(one.rule, one.label) for one in DETECTOR.scan(text, known=known)]


def test_the_cache_is_owner_only_used_and_built_again_when_damaged(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    Detector(cache=cache)
    (file,) = cache.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert cache.stat().st_mode & 0o777 == 0o700
    whole = file.read_bytes()
    for damaged in (b"", whole[:-9], whole[:200] + b"\xff" + whole[201:], b"x" * 4000, b"0" * 32 + whole[32:]):
        file.write_bytes(damaged)
        assert Detector(cache=cache).scan(TOKEN)
        assert file.read_bytes() != damaged
    assert [one.name for one in cache.iterdir()] == [file.name]


def test_a_cache_that_others_could_write_is_not_loaded(tmp_path: Path) -> None:
    Detector(cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.chmod(0o666)
    assert Detector(cache=tmp_path).scan(TOKEN)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert Detector(cache=tmp_path / "file" / "cache").scan(TOKEN)


def test_many_threads_scan_with_one_detector() -> None:
    wrong: list[int] = []

    def scan(number: int) -> None:
        wrong.extend(number for _ in range(200) if len(DETECTOR.scan(f"a {TOKEN} b")) != 1)

    threads = [threading.Thread(target=scan, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong


def test_half_a_surrogate_pair_hides_nothing() -> None:
    (one,) = DETECTOR.scan(f"\ud800 {TOKEN} \udfff")
    assert (one.start, one.end) == (2, 2 + len(TOKEN))


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=8, max_size=40), st.binary(max_size=5), st.binary(max_size=5))
def test_a_held_value_is_found_in_every_form(value: bytes, before: bytes, after: bytes) -> None:
    known = KnownValues([value])
    around = before + value + after
    forms = [base64.b64encode(around), base64.urlsafe_b64encode(around)]
    forms += [value.hex().encode(), value.hex().upper().encode(), quote(value, safe="").encode()]
    for form in forms:
        assert (HELD, Label.RESTRICTED) in found(f"<{form.decode()}>", known)


def test_a_held_text_is_found_plain_and_escaped_and_leaves_nothing_of_itself() -> None:
    known = KnownValues([SECRET])
    text = SECRET.decode()
    for form in (text, json.dumps(text)[1:-1], json.dumps(json.dumps(text)[1:-1])[1:-1], quote(text)):
        (one,) = DETECTOR.scan(f"<{form}>", known=known)
        assert (one.start, one.end) == (1, 1 + len(form))


def test_values_come_and_go_without_touching_the_set_before() -> None:
    first = KnownValues([SECRET])
    second = first.plus(b"another-value")
    third = second.minus(SECRET)
    text = f"{SECRET.decode()} another-value"
    assert [len(found(text, known)) for known in (first, second, third)] == [1, 2, 1]
    assert "value" not in repr(second.forms).replace("values", "")
    with pytest.raises(ConfigError, match="too short"):
        first.plus(b"short")


@pytest.mark.long
def test_a_hostile_megabyte_of_any_rules_anchors_ends() -> None:
    import time

    for rule in DETECTOR.rules:
        text = rule.anchors[0] * (1_000_000 // len(rule.anchors[0])) + " \n" + rule.examples[0]
        begun = time.perf_counter()
        assert DETECTOR.scan(text)
        assert time.perf_counter() - begun < 10, rule.id  # a catastrophe, not a slow machine
