"""The forms of views in a store: an earlier version of Covey may have registered another one, which stays in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from featurestore.define.definitions import FeatureView

from .known_releases import registry_of


@dataclass(frozen=True)
class ViewForms:
    """A view as its file defines it, and as a store has it.

    Attributes:
        in_force: the form in which it is collected; equal to `defined`, unless an earlier version registered it.
    """

    defined: FeatureView
    in_force: FeatureView


def forms_of(directory: Path, views: Iterable[FeatureView]) -> tuple[ViewForms, ...]:
    """The views, and their forms in the store of a directory, if there is one."""
    with registry_of(directory) as registry:
        if registry is None:
            return tuple(ViewForms(view, view) for view in views)
        return tuple(ViewForms(view, registry.in_force(view)) for view in views)


def views_in_force(directory: Path, views: Iterable[FeatureView]) -> tuple[FeatureView, ...]:
    """The views in the form in which they are collected into the store of a directory: see `Registry.in_force`."""
    return tuple(one.in_force for one in forms_of(directory, views))
