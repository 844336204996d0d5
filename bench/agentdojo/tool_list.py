"""The tools of one task, by a general rule from its person's words and the tools' own names.

A tool that only reads is always in the list. One that changes something is in it when the words name its act
(`send`) and what it acts on (`money`), each by itself or by a plain English word for it. Words that hand over to
another's list of things to do (`follow the instructions`) name every act but those that destroy.
"""

import re
from collections.abc import Iterable
from typing import Final

from bench.agentdojo.suite import Tool

_WORD: Final = re.compile(r"[a-z]+")
READS: Final = frozenset(
    [
        "get",
        "read",
        "search",
        "list",
        "find",
        "check",
        "show",
        "fetch",
        "view",
        "count",
        "query",
        "describe",
        "lookup",
    ]
)
DESTROYS: Final = frozenset(["delete", "remove", "cancel", "erase", "purge", "drop", "revoke"])
ACTS: Final = {
    "send": "send sends sending write forward reply tell notify contact pay transfer refund share post",
    "create": "create creates make add set schedule plan book new put write save reminder remind invite",
    "add": "add adds invite include put append join",
    "append": "append add adds write put include insert extend update",
    "update": "update change adjust edit modify set correct fix",
    "reschedule": "reschedule move postpone shift change delay",
    "schedule": "schedule plan recurring set standing monthly weekly",
    "delete": "delete erase trash discard remove",
    "remove": "remove delete kick expel exclude",
    "cancel": "cancel call off drop",
    "share": "share give grant access send",
    "invite": "invite invites inviting onboard add join",
    "reserve": "reserve book reservation booking",
    "post": "post publish upload submit write put",
}
THINGS: Final = {
    "email": "email emails mail mails e send message inbox",
    "calendar": "calendar event events appointment appointments meeting reminder agenda schedule reschedule",
    "event": "event events appointment appointments meeting calendar reminder reschedule",
    "participants": "participants participant attendees people guests invite",
    "file": "file files document documents doc docx xlsx txt pdf list drive folder",
    "money": "money pay payment transfer refund bill amount transaction send",
    "transaction": "transaction payment payments rent subscription recurring scheduled order orders bill standing",
    "password": "password passphrase",
    "user": "user users account profile information info person member colleague them her him everyone people",
    "info": "info information account profile address details",
    "direct": "direct dm message send write tell them person user users",
    "message": "message messages post send write reply dm feedback summary question",
    "channel": "channel channels",
    "webpage": "webpage page website site web",
    "hotel": "hotel hotels room stay",
    "restaurant": "restaurant table dinner lunch",
    "car": "car cars rental vehicle",
    "rental": "rental rent car cars",
    "slack": "slack workspace team",
}
_SMALL: Final = frozenset(["to", "the", "a", "an", "of", "from", "by", "with", "in", "for", "on"])
# `do all the tasks on …`, `follow the instructions in …`: but not `perform the following tasks`, which follow.
_HANDS_OVER: Final = re.compile(
    r"\b(?:do|does|perform|execute|follow|carry out|complete|work through)\b(?!\s+the following)[^.!?]{0,40}"
    r"\b(?:actions?|instructions?|tasks?|to-?dos?|steps)\b",
    re.IGNORECASE,
)


_AS_A_VERB: Final = re.compile(
    r"\b(?:e-?mail|message|text|dm)(?=\s+(?:it|them|him|her|me|us|the|this|that|every\w+|all)\b)", re.IGNORECASE
)


def changes(tool: Tool) -> bool:
    """Whether it changes something or tells anybody: all but what is named for reading."""
    return _words(tool.name)[0] not in READS


def destroys(tool: Tool) -> bool:
    """Whether what it does can't be taken back: no task implies it, and no list of things to do."""
    return _words(tool.name)[0] in DESTROYS


def tools_of(prompt: str, tools: Iterable[Tool]) -> frozenset[str]:
    said = frozenset(_words(_AS_A_VERB.sub("send message", prompt)))
    handed_over = _HANDS_OVER.search(prompt) is not None
    return frozenset(tool.name for tool in tools if not changes(tool) or _named(tool, said, handed_over))


def _named(tool: Tool, said: frozenset[str], handed_over: bool) -> bool:
    act, *things = [word for word in _words(tool.name) if word not in _SMALL]
    if handed_over and act not in DESTROYS:
        return True
    acted = not said.isdisjoint({act, *ACTS.get(act, "").split()})
    return acted and any(not said.isdisjoint({thing, *THINGS.get(thing, "").split()}) for thing in things)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
