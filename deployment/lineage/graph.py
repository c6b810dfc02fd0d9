"""The graph from the source over views, plans and releases to services and models.

The releases of a view are one node, and so are its older plans: a store may have a million panes and thousands of plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from base.times import utc_text
from deployment.errors import ItemMissing
from featurestore.define.records import RegisteredView
from featurestore.errors import StoreCorrupt
from featurestore.registry.lineage import Lineage
from featurestore.registry.models import RegisteredModel
from featurestore.registry.pane_index import PaneFilter
from featurestore.registry.release_pages import PlanTally
from featurestore.registry.tally import PublishedTally
from featurestore.store import Store

from .facets import source_columns
from .trained_on import TrainedOn

NodeKind = Literal["source", "view", "plan", "release", "on_demand", "service", "model"]

MOST_PLANS: Final = 12
"""How many plans of a view have nodes of their own: the newest ones. The others are one node."""
MOST_RETRACTED: Final = 10_000
"""How many retracted panes are compared with those that models saw: the newest ones."""
SOURCE: Final = "source"
"""The id of the node of the events."""
_NAMED: Final = ("view", "on_demand", "service", "model")
_ORDER: Final = {kind: place for place, kind in enumerate(get_args(NodeKind))}


@dataclass(frozen=True)
class Fact:
    """Something about a node, for people."""

    name: str
    value: str


@dataclass(frozen=True)
class Node:
    """A part of the lineage.

    Attributes:
        id: unique in the graph, and the same while the store has the part.
        problem: what cannot be read of it; None: all of it can.
    """

    id: str
    kind: NodeKind
    name: str
    facts: tuple[Fact, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Edge:
    """`target` was made from `source`, both by id. `what`: the columns or features that went into it."""

    source: str
    target: str
    what: tuple[str, ...] = ()


@dataclass(frozen=True)
class LineageGraph:
    """Nodes in the order of the way of the data, and their edges."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def find(self, name: str) -> Node:
        """The view, service or model with a name; without a version the newest one. Raises ItemMissing, which lists all names."""
        named = [one for one in self.nodes if one.kind in _NAMED and name in (one.name, one.name.partition("@v")[0])]
        if not named:
            names = ", ".join(one.name for one in self.nodes if one.kind in _NAMED)
            raise ItemMissing(f"no view, service or model is called {name[:80]!r}; the store has: {names or 'none'}")
        return named[-1]

    def around(self, node: str) -> LineageGraph:
        """Only the nodes from which a node was made, and those that were made from it."""
        kept = {node, *_reached(self.edges, node, up=True), *_reached(self.edges, node, up=False)}
        return LineageGraph(
            tuple(one for one in self.nodes if one.id in kept),
            tuple(one for one in self.edges if one.source in kept and one.target in kept),
        )


def lineage_of(store: Store, source: str | None = None) -> LineageGraph:
    """The lineage of everything in a store.

    Args:
        source: the name of the events; None: they are on the sites.
    """
    lineages = store.lineages()
    served = {lineage.name: lineage.served.registered for lineage in lineages}
    parts = [Node(SOURCE, "source", source or "events of the sites"), *_of_views(lineages, store.panes.tallies())]
    parts += _of_on_demand(store, served)
    parts += _of_services(store, served)
    parts += _of_models(store)
    nodes = [part for part in parts if isinstance(part, Node)]
    known = {node.id for node in nodes}
    edges = dict.fromkeys(part for part in parts if isinstance(part, Edge))
    return LineageGraph(
        tuple(sorted(nodes, key=lambda node: _ORDER[node.kind])),
        tuple(edge for edge in edges if edge.source in known and edge.target in known),
    )


def view_id(name: str, version: int) -> str:
    """The id of the node of a version of a view."""
    return f"view:{name}@v{version}"


def releases_id(name: str, version: int) -> str:
    """The id of the node of the releases that a version of a view serves."""
    return f"releases:{name}@v{version}"


def plan_id(plan_hash: str) -> str:
    """The id of the node of a plan."""
    return f"plan:{plan_hash}"


def _of_views(lineages: Sequence[Lineage], tallies: Sequence[PlanTally]) -> Iterator[Node | Edge]:
    by_collection: dict[int, list[PlanTally]] = {}
    for tally in tallies:
        by_collection.setdefault(tally.keeper.collection_id, []).append(tally)
    planned: set[str] = set()
    for lineage in lineages:
        for version in lineage.versions:
            one = version.registered
            of_version = by_collection.get(one.collection_id, [])
            yield _view_node(one, is_served=version is lineage.served)
            yield Edge(SOURCE, view_id(one.view.name, one.version), source_columns(one.view))
            yield _releases_node(one, of_version)
            if lineage.keeper(one.collection_id) is version:
                yield from _of_plans(one, of_version, planned)
            else:
                yield Edge(view_id(one.view.name, one.version), releases_id(one.view.name, one.version))
                kept = lineage.keeper(one.collection_id).registered
                yield Edge(
                    releases_id(kept.view.name, kept.version), releases_id(one.view.name, one.version), ("same panes",)
                )
            for segment in lineage.segments(version):
                yield Edge(
                    releases_id(segment.keeper.view.name, segment.keeper.version),
                    releases_id(one.view.name, one.version),
                    ("earlier panes",),
                )


def _view_node(one: RegisteredView, *, is_served: bool) -> Node:
    view = one.view
    facts = [
        Fact("entity", ", ".join(view.entity.keys)),
        Fact("pane", view.pane),
        Fact("windows", ", ".join(view.windows) or "none"),
        Fact("features", ", ".join(feature.name for feature in view.pane_features)),
        Fact("state", "served" if is_served else "another version is served"),
    ]
    return Node(view_id(view.name, one.version), "view", one.name, tuple(facts))


def _releases_node(one: RegisteredView, tallies: Sequence[PlanTally]) -> Node:
    node = releases_id(one.view.name, one.version)
    if not tallies:
        return Node(node, "release", f"{one.name}: no release")
    panes = PublishedTally.sum([tally.panes for tally in tallies])
    facts = (
        Fact("opened", f"{panes.opened:,}"),
        Fact("void", f"{panes.void:,}"),
        Fact("retracted", f"{panes.retracted:,}"),
        Fact("first pane", utc_text(panes.first)),
        Fact("last pane", utc_text(panes.last)),
    )
    return Node(node, "release", f"{one.name}: {panes.opened:,} opened", facts)


def _of_plans(one: RegisteredView, tallies: Sequence[PlanTally], planned: set[str]) -> Iterator[Node | Edge]:
    """The newest plans of a collection, and one node for all others. A plan may be of several views: it has one node."""
    newest = sorted(tallies, key=lambda tally: tally.panes.first, reverse=True)
    releases = releases_id(one.view.name, one.version)
    for tally in newest[:MOST_PLANS]:
        manifest = tally.manifest
        node = plan_id(manifest.plan_hash)
        if node not in planned:
            planned.add(node)
            yield _plan_node(tally)
        yield Edge(view_id(manifest.view, manifest.view_version), node)
        yield Edge(node, releases, (f"{tally.panes.opened:,} opened",))
    if older := newest[MOST_PLANS:]:
        node = f"plans:{one.name}"
        yield Node(node, "plan", f"{len(older):,} earlier plans", (Fact("view", one.name),))
        yield Edge(view_id(one.view.name, one.version), node)
        yield Edge(node, releases, (f"{sum(tally.panes.opened for tally in older):,} opened",))


def _plan_node(tally: PlanTally) -> Node:
    terms = tally.manifest
    facts = (
        Fact("hash", terms.plan_hash),
        Fact("noise", terms.noise),
        Fact("protection", terms.protection),
        Fact("trust", terms.trust),
        Fact("smallest number of clients", str(terms.min_clients)),
        Fact("first pane", utc_text(tally.panes.first)),
        Fact("last pane", utc_text(tally.panes.last)),
    )
    return Node(plan_id(terms.plan_hash), "plan", f"plan {terms.plan_hash[:12]}", facts)


def _of_on_demand(store: Store, served: Mapping[str, RegisteredView]) -> Iterator[Node | Edge]:
    for name, one in store.on_demand.items():
        facts = (Fact("outputs", ", ".join(one.outputs)), Fact("inputs", ", ".join(one.inputs) or "none"))
        yield Node(f"on_demand:{name}", "on_demand", name, facts)
        yield from _edges_of(tuple(one.features.values()), f"on_demand:{name}", served)


def _of_services(store: Store, served: Mapping[str, RegisteredView]) -> Iterator[Node | Edge]:
    for service in store.services():
        yield Node(f"service:{service.name}", "service", service.name, (Fact("features", ", ".join(service.refs)),))
        yield from _edges_of(service.refs, f"service:{service.name}", served)


def _edges_of(refs: Sequence[str], target: str, served: Mapping[str, RegisteredView]) -> Iterator[Edge]:
    """An edge from the releases, or the on-demand view, of each view that references name."""
    features: dict[str, list[str]] = {}
    for ref in refs:
        view, _, feature = ref.partition(":")
        features.setdefault(view, []).append(feature)
    for view, names in features.items():
        name, _, pinned = view.partition("@v")
        if pinned:
            source = releases_id(name, int(pinned))
        elif name in served:
            source = releases_id(name, served[name].version)
        else:
            source = f"on_demand:{name}"
        yield Edge(source, target, tuple(names))


def _of_models(store: Store) -> Iterator[Node | Edge]:
    models = store.models()
    retracted = _retracted(store) if models else frozenset()
    for model in models:
        registered = Fact("registered", utc_text(model.registered_at))
        node = f"model:{model}"
        try:
            trained = TrainedOn.of(model)
        except StoreCorrupt as error:
            yield Node(node, "model", str(model), (registered,), str(error))
            continue
        yield Node(node, "model", str(model), (registered, *_model_facts(model, trained, retracted)))
        if trained.service is not None:
            yield Edge(f"service:{trained.service}", node)
        for view in trained.views:
            yield Edge(releases_id(view.name, view.version), node)


def _model_facts(model: RegisteredModel, trained: TrainedOn, retracted: frozenset[str]) -> Iterator[Fact]:
    seen = frozenset().union(*(view.releases for view in trained.views))
    yield Fact("files", ", ".join(model.files))
    if seen:
        yield Fact("releases seen", f"{len(seen):,}")
        yield Fact("of them retracted since", f"{len(seen & retracted):,}")
    if trained.label_rows is not None:
        yield Fact("labels", f"{trained.label_rows:,}")


def _retracted(store: Store) -> frozenset[str]:
    page = store.panes.page(None, PaneFilter(state="retracted"), None, MOST_RETRACTED)
    return frozenset(one.record.release_id.hex() for one in page.panes)


def _reached(edges: Sequence[Edge], start: str, *, up: bool) -> set[str]:
    """The nodes that a walk along the edges reaches; `up`: against their direction."""
    ahead: dict[str, list[str]] = {}
    for edge in edges:
        source, target = (edge.target, edge.source) if up else (edge.source, edge.target)
        ahead.setdefault(source, []).append(target)
    found, waiting = {start}, [start]
    while waiting:
        for after in ahead.get(waiting.pop(), ()):
            if after not in found:
                found.add(after)
                waiting.append(after)
    return found
