"""The chat template in a GGUF file: read from its metadata header alone, every length checked before it is used."""

import hashlib
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

from remit.errors import ModelError
from remit.models.identity import NONE

TEMPLATE_KEY: Final = b"tokenizer.chat_template"
HEADER_BYTES: Final = 512 << 20  # vocabularies of 260,000 tokens with merges take about 15 MB
KEYS: Final = 65_536
KEY_BYTES: Final = 65_535  # ggml's gguf.md: at most 2^16 - 1
TEMPLATE_BYTES: Final = 4 << 20
ELEMENTS: Final = 4_000_000
DEPTH: Final = 4
VERSIONS: Final = (2, 3)  # version 1 counted in 32 bits, and has had no writer since August 2023

_STRING, _ARRAY = 8, 9
_SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # gguf_metadata_value_type


def digest_of_templates(file: BinaryIO) -> str:
    """`sha256:<hex>` of all chat templates in the header of a GGUF file, or `none`.

    Several (`tokenizer.chat_template.NAME`) are digested with their names, in order. Raises ModelError for a header
    that is none, or larger than the bounds above. Strangers' files are read behind walls (remit.sandbox.parsing).
    """
    try:
        found = list(templates(file))
    except OSError as error:
        raise ModelError(f"can't read the model file: {error.strerror}") from error
    if not found:
        return NONE
    if [key for key, _ in found] == [TEMPLATE_KEY]:
        return "sha256:" + hashlib.sha256(found[0][1]).hexdigest()
    digest = hashlib.sha256()
    for key, text in found:
        digest.update(b"%d:%b%d:%b" % (len(key), key, len(text), text))
    return "sha256:" + digest.hexdigest()


def templates(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """(key, text) of each chat template in a GGUF header; raises ModelError."""
    header = _Header(file)
    if header.take(4) != b"GGUF":
        raise ModelError("this is no GGUF file")
    if header.number("<I") not in VERSIONS:  # a big-endian file is another version too
        raise ModelError("this version of GGUF is not known")
    header.number("<Q")
    count = header.number("<Q")
    if count > KEYS:
        raise ModelError(f"the GGUF header has more than {KEYS} keys")
    for _ in range(count):
        key = header.text(KEY_BYTES)
        kind = header.number("<I")
        if key.startswith(TEMPLATE_KEY) and kind == _STRING:
            yield key, header.text(TEMPLATE_BYTES)
        else:
            header.skip_value(kind, DEPTH)


class _Header:
    """Reads forward only, HEADER_BYTES at most; nothing is allocated for what the file says but doesn't hold."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left, self._elements = file, HEADER_BYTES, ELEMENTS

    def take(self, count: int) -> bytes:
        self._spend(count)
        data = self._file.read(count)
        if len(data) != count:
            raise ModelError("the GGUF header ends early")
        return data

    def number(self, form: str) -> int:
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def text(self, most: int) -> bytes:
        length = self.number("<Q")
        if length > most:
            raise ModelError(f"a text in the GGUF header is longer than {most} bytes")
        return self.take(length)

    def skip_value(self, kind: int, depth: int) -> None:
        if kind in _SIZES:
            self._skip(_SIZES[kind])
        elif kind == _STRING:
            self._skip(self.number("<Q"))
        elif kind == _ARRAY and depth > 0:
            self._skip_array(depth - 1)
        else:
            raise ModelError("the GGUF header holds a value of no known type")

    def _skip_array(self, depth: int) -> None:
        kind, count = self.number("<I"), self.number("<Q")
        if kind in _SIZES:
            self._skip(_SIZES[kind] * count)
            return
        if count > self._elements:
            raise ModelError(f"the GGUF header holds more than {ELEMENTS} elements")
        self._elements -= count
        for _ in range(count):
            self.skip_value(kind, depth)

    def _skip(self, count: int) -> None:
        self._spend(count)
        self._file.seek(count, os.SEEK_CUR)

    def _spend(self, count: int) -> None:
        if count > self._left:
            raise ModelError(f"the GGUF header is larger than {HEADER_BYTES} bytes")
        self._left -= count
