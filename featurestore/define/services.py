"""Feature services: each names the feature vector of a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from featurestore.errors import BadReference, NotFoundError, ServiceInvalid

from .on_demand import OnDemand
from .records import RegisteredView
from .references import REFERENCE, resolve

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, init=False)
class FeatureService:
    """A named list of references, such as the features that a model reads.

    Attributes:
        name: lower-case letters, digits and underscores.
        refs: references (`view:feature`) to stored and on-demand views, in the order of the vector.
    """

    name: str
    refs: tuple[str, ...]

    def __init__(self, name: str, refs: Sequence[str]) -> None:
        """Raises ServiceInvalid: the name or a reference is invalid."""
        if not _NAME.fullmatch(name):
            raise ServiceInvalid(
                name, "a name has lower-case letters, digits and underscores, and starts with a letter"
            )
        if isinstance(refs, str):
            raise ServiceInvalid(name, f"references are a list; write [{refs!r}]")
        if not refs:
            raise ServiceInvalid(name, "it lists no feature; add references such as dest_delay:late_7d")
        for ref in refs:
            if not REFERENCE.fullmatch(ref):
                raise ServiceInvalid(name, f"{ref!r} is not a feature reference; write view:feature")
        if len(set(refs)) < len(refs):
            twice = next(ref for i, ref in enumerate(refs) if ref in refs[:i])
            raise ServiceInvalid(name, f"it lists {twice!r} twice; list each feature once")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "refs", tuple(refs))


def refs_of(refs: Sequence[str] | FeatureService) -> Sequence[str]:
    """The references of a list or a service."""
    return refs.refs if isinstance(refs, FeatureService) else refs


def require_service(
    service: FeatureService, find: Callable[[str, int | None], RegisteredView], on_demand: OnDemand
) -> None:
    """Raise ServiceInvalid unless each reference names a registered feature, or an output of an on-demand view of such."""
    for ref in service.refs:
        view, _, name = ref.partition(":")
        transformation = on_demand.get(view)
        if transformation is not None and name not in transformation.outputs:
            outputs = ", ".join(transformation.outputs)
            raise ServiceInvalid(service.name, f"on-demand view {view!r} has no output {name!r}; it has: {outputs}")
        stored = [ref] if transformation is None else [*transformation.features.values()]
        try:
            if stored:
                resolve(list(dict.fromkeys(stored)), find, full_names=True, intervals=False)
        except (BadReference, NotFoundError) as error:
            raise ServiceInvalid(service.name, str(error)) from None
