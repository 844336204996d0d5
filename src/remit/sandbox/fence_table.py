"""The table `inet remit` in the kernel: which packets to a fenced address are refused, as rules of nf_tables.

Refused, with a TCP reset, is what is delivered on this machine, to a fenced address, from a socket of another uid
than Remit's; also what opens a connection from no socket that the kernel can name (MPTCP's second subflow). What a
closed socket leaves behind (its last acknowledgement) has no uid any more and opens nothing: it passes.
"""

import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Final

from remit.sandbox.fence_line import NOBODY, Way
from remit.sandbox.nf_messages import (
    Chain,
    Expression,
    attributes,
    batch,
    big,
    expressions,
    listed,
    nested,
    questions,
)

TABLE: Final = "remit"
REFUSE: Final = "refuse"
# linux/netfilter.h; nf_tables.h; if_arp.h; linux/netfilter_ipv4.h (priorities)
_IN, _OUT = 1, 3
_BEFORE_TRANSLATION: Final = -300
_AFTER_TRANSLATION: Final = 0
_IIFTYPE, _OIFTYPE, _SKUID, _NFPROTO, _L4PROTO = 8, 9, 10, 15, 16
_LOOPBACK: Final = struct.pack("=H", 772)
_NETWORK, _TRANSPORT = 1, 2
_EQUAL, _OTHER = 0, 1
_ACCEPT, _JUMP = 1, -3
_FLAGS_AT, _OPENING = 13, (b"\x17", b"\x02")  # of a TCP header: FIN, SYN, RST and ACK; SYN alone
_REGISTER: Final = (1, big(1))
_TCP: Final = bytes([socket.IPPROTO_TCP])
_RESET: Final = 1  # NFT_REJECT_TCP_RST
_DORMANT: Final = 1
_ANSWER_BYTES: Final = 1 << 17  # the kernel's parts of a listing are of 32 KiB


def chains(ways: Iterable[Way], uid: int) -> tuple[Chain, ...]:
    """All of the table; nothing when there is nothing to refuse.

    Looked at before addresses are translated, as a container's port is, and after, as a redirection leads here.
    """
    every = sorted(ways)
    if not every:
        return ()
    sent = tuple(rule for way in every for rule in _sent(way))
    came = tuple((*_meets(_IIFTYPE, _OTHER, way), *_reset()) for way in every if way.everywhere)
    return (
        Chain(REFUSE, _refusals(uid)),
        Chain("sent", sent, _OUT, _BEFORE_TRANSLATION),
        Chain("delivered", sent, _OUT, _AFTER_TRANSLATION),
        *((Chain("came", came, _IN, _AFTER_TRANSLATION),) if came else ()),
    )


def replacing(ways: Iterable[Way], uid: int) -> bytes:
    """The batch that makes the table this one, or takes it away."""
    return batch(TABLE, chains(ways, uid))


def stands(ways: Iterable[Way], uid: int, talk: socket.socket) -> bool:
    """Whether the kernel has this table, no other rule in it, and in force. Raises OSError when it can't be asked."""
    tables, every, rules = (_ask(talk, question) for question in questions())
    own = [one for one in tables if _name(one, 1) == TABLE]
    if not (wanted := chains(ways, uid)):
        return not own
    if len(own) != 1 or int.from_bytes(own[0].get(2, b""), "big") & _DORMANT:
        return False
    found = {_name(one, 3): one for one in every if _name(one, 1) == TABLE}
    if found.keys() != {one.name for one in wanted}:
        return False
    return all(_hooked(one, found[one.name]) and _follows(one, rules) for one in wanted)


def _hooked(chain: Chain, found: dict[int, bytes]) -> bool:
    hook = dict(attributes(found[4])) if 4 in found else {}
    told = (hook.get(1), hook.get(2)) if hook else (None, None)
    return told == ((big(chain.hook), big(chain.priority)) if chain.hook is not None else (None, None))


def _follows(chain: Chain, rules: list[dict[int, bytes]]) -> bool:
    own = [expressions(one.get(4, b"")) for one in rules if (_name(one, 1), _name(one, 2)) == (TABLE, chain.name)]
    return len(own) == len(chain.rules) and all(map(_same, chain.rules, own))


def _same(wanted: tuple[Expression, ...], found: tuple[Expression, ...]) -> bool:
    return len(wanted) == len(found) and all(one.says(other) for one, other in zip(wanted, found, strict=True))


def _name(one: dict[int, bytes], kind: int) -> str:
    return one.get(kind, b"").rstrip(b"\0").decode("utf-8", "replace")


def waiting(talk: socket.socket) -> Iterator[bytes]:
    """What the kernel has answered by now: it answers what is no listing before `send` returns."""
    while True:
        try:
            yield talk.recv(_ANSWER_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return


def empty(talk: socket.socket) -> None:
    """Away with what a listing that went wrong has left."""
    for _ in waiting(talk):
        pass


def _ask(talk: socket.socket, question: bytes) -> list[dict[int, bytes]]:
    empty(talk)
    talk.send(question)
    found: list[dict[int, bytes]] = []
    while True:
        part, ended = listed(talk.recv(_ANSWER_BYTES))
        found += part
        if ended:
            return found


def _sent(way: Way) -> list[tuple[Expression, ...]]:
    """One way's rules: who may pass, and that all others are judged."""
    meets = _meets(_OIFTYPE, _EQUAL, way)
    jump = (*meets, _verdict(_JUMP, REFUSE))
    if way.besides == NOBODY:
        return [jump]
    return [(*meets, *_by_uid(_EQUAL, way.besides), _verdict(_ACCEPT)), jump]


def _refusals(uid: int) -> tuple[tuple[Expression, ...], ...]:
    opening = (
        _payload(_TRANSPORT, _FLAGS_AT, 1),
        Expression("bitwise", (_REGISTER, (2, big(1)), (3, big(1)), (4, _value(_OPENING[0])), (5, _value(b"\0")))),
        _compare(_EQUAL, _OPENING[1]),
    )
    return (
        (*_by_uid(_EQUAL, uid), _verdict(_ACCEPT)),
        (*_by_uid(_OTHER, uid), *_reset()),
        (*_meta(_L4PROTO, _EQUAL, _TCP), *opening, *_reset()),
    )


def _meets(interface: int, comparison: int, way: Way) -> tuple[Expression, ...]:
    """That a packet goes (or, for the other comparison, came) through loopback, and to this way."""
    family = bytes([socket.AF_INET if way.version == 4 else socket.AF_INET6])  # NFPROTO_ has the same numbers
    place, size = (16, 4) if way.version == 4 else (24, 16)  # of the destination: RFC 791, RFC 8200
    to = () if way.anywhere else (_payload(_NETWORK, place, size), _compare(_EQUAL, way.packed))
    return (
        *_meta(_L4PROTO, _EQUAL, _TCP),
        _payload(_TRANSPORT, 2, 2),
        _compare(_EQUAL, struct.pack("!H", way.port)),  # first: nearly all packets differ in it
        *_meta(interface, comparison, _LOOPBACK),
        *_meta(_NFPROTO, _EQUAL, family),
        *to,
    )


def _by_uid(comparison: int, uid: int) -> tuple[Expression, ...]:
    return _meta(_SKUID, comparison, struct.pack("=I", uid))


def _meta(key: int, comparison: int, value: bytes) -> tuple[Expression, Expression]:
    return Expression("meta", ((2, big(key)), _REGISTER)), _compare(comparison, value)


def _compare(comparison: int, value: bytes) -> Expression:
    return Expression("cmp", (_REGISTER, (2, big(comparison)), (3, _value(value))))


def _payload(base: int, offset: int, size: int) -> Expression:
    return Expression("payload", (_REGISTER, (2, big(base)), (3, big(offset)), (4, big(size))))


def _value(raw: bytes) -> bytes:
    return nested([(1, raw)])


def _verdict(code: int, chain: str = "") -> Expression:
    to = [(2, chain.encode() + b"\0")] if chain else []
    return Expression("immediate", ((1, big(0)), (2, nested([(2, nested([(1, big(code)), *to]))]))))


def _reset() -> tuple[Expression]:
    """Refuse with a TCP reset. Rules that end so have looked for TCP before: the kernel resets nothing else."""
    return (Expression("reject", ((1, big(_RESET)),)),)
