"""What policies read of the context: Cedar is given no more. Parsing it is most of what a decision costs. Pure."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from cedarpy import pst

from remit.policy.policy_set import Policy


def reads(policies: Iterable[Policy]) -> frozenset[str] | None:
    """The keys of the context that any of them names; None where one takes the context as a whole."""
    found: set[str] = set()
    stack: list[Any] = [policy.tree.clauses for policy in policies]
    while stack:
        node = stack.pop()
        match node:
            case pst.GetAttr(base=pst.Var(name="context"), attr=name):
                found.add(name)
            case pst.HasAttr(base=pst.Var(name="context"), attrs=names):
                found.add(names[0])
            case pst.Var(name="context"):
                return None
            case _:
                stack.extend(_children(node))
    return frozenset(found)


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):  # a record's fields
        return node.values()
    if isinstance(node, tuple):
        return node
    if is_dataclass(node) and not isinstance(node, type):
        return (getattr(node, one.name) for one in fields(node))
    return ()
