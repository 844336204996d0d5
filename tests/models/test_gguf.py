"""The chat template of a GGUF file: found, and no header, however hostile, costs more than its bounds."""

import contextlib
import hashlib
import io
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import ModelError
from remit.models import gguf
from remit.models.gguf import ELEMENTS, HEADER_BYTES, KEYS, TEMPLATE_BYTES, digest_of_templates, templates
from remit.sandbox import locate

KEY = b"tokenizer.chat_template"


def text(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


def pair(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def header(*pairs: bytes, version: int = 3, count: int | None = None) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(pairs) if count is None else count) + b"".join(pairs)


def array(kind: int, count: int, data: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + data


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return digest_of_templates(file)


WORDS = pair(b"tokenizer.ggml.tokens", 9, array(8, 2, text(b"a") + text(b"b")))
NUMBERS = pair(b"tokenizer.ggml.scores", 9, array(6, 3, bytes(12)))


def test_the_real_model_has_one() -> None:
    with locate().path.open("rb") as file:
        ((key, said),) = templates(file)
    assert key == KEY
    assert b"<|im_start|>" in said
    assert _digest(locate().path) == "sha256:" + hashlib.sha256(said).hexdigest()


def test_it_is_found_behind_values_of_every_kind(tmp_path: Path) -> None:
    plain = [pair(b"n", kind, bytes(size)) for kind, size in gguf._SIZES.items()]
    nested = pair(b"deep", 9, array(9, 1, array(4, 2, bytes(8))))
    (tmp_path / "m.gguf").write_bytes(header(*plain, WORDS, NUMBERS, nested, pair(KEY, 8, text(b"{{ hello }}"))))
    assert _digest(tmp_path / "m.gguf") == "sha256:" + hashlib.sha256(b"{{ hello }}").hexdigest()


def test_several_count_with_their_names(tmp_path: Path) -> None:
    digests = set()
    for pairs in (
        (pair(KEY, 8, text(b"x")), pair(KEY + b".tool", 8, text(b"y"))),
        (pair(KEY, 8, text(b"y")), pair(KEY + b".tool", 8, text(b"x"))),
        (pair(KEY, 8, text(b"x")),),
        (),
    ):
        (tmp_path / "m.gguf").write_bytes(header(*pairs))
        digests.add(_digest(tmp_path / "m.gguf"))
    assert len(digests) == 4
    assert "none" in digests


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "ends early"),
        (b"GGML" + bytes(20), "no GGUF"),
        (header(version=1), "version"),
        (header(count=KEYS + 1), "keys"),
        (header(count=1), "ends early"),
        (header(struct.pack("<Q", 1 << 60)), "longer than"),
        (header(pair(KEY, 8, struct.pack("<Q", TEMPLATE_BYTES + 1))), "longer than"),
        (header(pair(b"k", 8, struct.pack("<Q", 1 << 63))), "larger than"),
        (header(pair(b"k", 9, array(0, HEADER_BYTES))), "larger than"),
        (header(pair(b"k", 9, array(8, ELEMENTS + 1))), "elements"),
        (header(pair(b"k", 13, b"")), "no known type"),
        (header(pair(b"k", 9, array(9, 1, array(9, 1, array(9, 1, array(9, 1)))))), "no known type"),
    ],
)
def test_a_hostile_header_is_refused_without_taking_its_word(data: bytes, why: str) -> None:
    tracemalloc.start()
    with pytest.raises(ModelError, match=why):
        list(templates(io.BytesIO(data)))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64), st.integers(0, 200), st.integers(0, 255))
def test_any_bytes_are_a_header_or_refused(tail: bytes, at: int, value: int) -> None:
    """Random ends, and every byte of a good header changed."""
    good = bytearray(header(WORDS, NUMBERS, pair(KEY, 8, text(b"{{ x }}"))))
    good[at % len(good)] = value
    for data in (bytes(good), header(count=3) + tail, tail):
        with contextlib.suppress(ModelError):
            assert all(key.startswith(KEY) for key, _ in templates(io.BytesIO(data)))
