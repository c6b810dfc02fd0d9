"""The Python classes that a views file may call, and what they are in its graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, Final

from featurestore.define import kinds
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.feature import KINDS, ViewFeature
from featurestore.define.filtered import Filtered
from featurestore.define.on_demand import on_demand
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.services import FeatureService

from .graph import Graph, Kind

LINKS: Final[Mapping[str, Kind]] = MappingProxyType(
    {"entity": "entity", "features": "feature", "bounds": "bounds", "privacy": "privacy"}
)
"""The parameters of a FeatureView whose values are nodes."""

COVEY: Final = "covey"
"""The package that views files import from."""


@dataclass(frozen=True)
class PartType:
    """A class whose calls are nodes.

    Attributes:
        name: of the class, and of the node's `type`.
        make: the class, or the decorator.
        public: whether `covey` exports it.
    """

    name: str
    kind: Kind
    make: Callable[..., Any]
    public: bool = True

    @cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The parameters by name, in their order."""
        return inspect.signature(self.make).parameters

    @cached_property
    def positional(self) -> tuple[str, ...]:
        """The parameters that may be given without their name."""
        return tuple(
            name for name, one in self.parameters.items() if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        )

    @cached_property
    def homes(self) -> frozenset[str]:
        """The modules that a file may import it from."""
        own = self.make.__module__
        return frozenset({own, COVEY, kinds.__name__} if own.startswith(kinds.__name__) else {own, COVEY})

    @property
    def home(self) -> str:
        """The module that a written file imports it from."""
        return COVEY if self.public else self.make.__module__


def part_types() -> Mapping[str, PartType]:
    """The classes by name; installations may have registered kinds of features of their own."""
    return _types_with(tuple(KINDS.values()))


@lru_cache(maxsize=4)
def _types_with(features: tuple[type[ViewFeature], ...]) -> Mapping[str, PartType]:
    own: list[type[ViewFeature]] = [*(getattr(kinds, name) for name in kinds.__all__), Filtered]
    registered = [kind for kind in features if kind not in own]
    found = [
        PartType("FeatureView", "view", FeatureView),
        PartType("Entity", "entity", Entity),
        *(PartType(kind.__name__, "feature", kind, kind in own) for kind in [*own, *registered]),
        PartType("Bounds", "bounds", Bounds),
        PartType("Privacy", "privacy", Privacy),
        PartType("on_demand", "on_demand", on_demand),
        PartType("FeatureService", "service", FeatureService),
    ]
    return MappingProxyType({one.name: one for one in found})


def iterate_owners(graph: Graph) -> Iterator[tuple[str, str]]:
    """Every owner with each node that it links to as a part."""
    for node in graph:
        if node.kind == "view":
            for name in LINKS:
                for linked in node.links.get(name, ()):
                    yield node.id, linked
