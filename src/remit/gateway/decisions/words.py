"""The names of a point's actions that policies speak of: what a search for actions tries. Pure."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from cedarpy import pst

from remit.policy import PolicySet


def access_names(policies: PolicySet) -> tuple[str, ...]:
    """Each text that stands in a comparison with `context.access.name`, in the order of the policies."""
    names: dict[str, None] = {}
    for policy in policies.policies:
        for comparison in _comparisons(policy.tree.clauses):
            names.update(dict.fromkeys(_texts(comparison)))
    return tuple(names)


def _comparisons(tree: Any) -> Iterator[Any]:
    stack = [tree]
    while stack:
        node = stack.pop(0)
        if isinstance(node, pst.BinaryOp) and any(_is_name(side) for side in (node.left, node.right)):
            yield node
        else:
            stack[:0] = _children(node)


def _is_name(node: Any) -> bool:
    match node:
        case pst.GetAttr(base=pst.GetAttr(base=pst.Var(name="context"), attr="access"), attr="name"):
            return True
    return False


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, pst.StringLit):
        yield node.value
    for child in _children(node):
        yield from _texts(child)


def _children(node: Any) -> list[Any]:
    if isinstance(node, tuple | list):
        return list(node)
    if is_dataclass(node) and not isinstance(node, type):
        return [getattr(node, one.name) for one in fields(node)]
    return []
