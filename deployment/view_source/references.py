"""The links that follow from references in fields: what an on-demand view or a service reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from featurestore.define.references import REFERENCE

from .graph import Literal, Node


def with_derived_links(nodes: Sequence[Node]) -> Iterator[Node]:
    """The nodes; on-demand views with their `sources`, and services with their `members`."""
    owners = {name: node.id for node in nodes if (name := declared_name(node))}
    for node in nodes:
        if node.kind in ("on_demand", "service"):
            found = dict.fromkeys(owners[view] for view in _views(_references(node)) if view in owners)
            link = "sources" if node.kind == "on_demand" else "members"
            yield replace(node, links={**node.links, link: tuple(found)})
        else:
            yield node


def declared_name(node: Node) -> str | None:
    """The name by which references find a view; None if it is not written out."""
    if node.kind not in ("view", "on_demand"):
        return None
    match node.fields.get("name"):
        case Literal(value=str(name)):
            return name
        case None if node.kind == "on_demand":
            return node.name
        case _:
            return None


def _references(node: Node) -> Iterable[object]:
    match node.fields.get("arguments" if node.kind == "on_demand" else "refs"):
        case Literal(value=list(given)) | Literal(value=tuple(given)):
            return [one.get("feature") if isinstance(one, dict) else one for one in given]
        case _:
            return []


def _views(references: Iterable[object]) -> Iterator[str]:
    for reference in references:
        match = REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
        if match is not None:
            yield match[1]
