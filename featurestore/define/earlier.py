"""The other forms of a definition, so that neither an upgrade nor a project's new default changes a registered view.

Versions before the exact accountant resolved `epsilon` by zCDP alone, and counted `max_cells` cells of a client-day also where a
day has fewer. A view that names no `noisers` may be registered with those of another default. A view keeps the form that is
registered until its owner applies the definition in its present form.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction

from featurestore.errors import DefinitionError

from .definitions import FeatureView
from .epsilon import largest_micro_rho
from .privacy import MAX_MICRO_RHO, NOISER_CHOICES, exact


def other_forms(view: FeatureView) -> Iterator[FeatureView]:
    """The other forms in which the same definition may be registered. Not cached; see `earlier_form`."""
    yield earlier_form(view)
    if view.privacy.noisers is None:
        for noisers in NOISER_CHOICES:
            if noisers != view.privacy.chosen_noisers:
                with suppress(DefinitionError):  # a Laplace view has one form
                    yield view.with_default_noisers(noisers)


def earlier_form(view: FeatureView) -> FeatureView:
    """The form of a definition in earlier versions; an equal view if it was the same.

    Not cached: equal views may have been written with another `epsilon` or `max_cells`.
    """
    privacy = view.privacy
    epsilon = exact(privacy.epsilon)
    if privacy.mechanism == "gaussian" and epsilon is not None:
        rho = Fraction(largest_micro_rho(epsilon, privacy.delta, MAX_MICRO_RHO), 10**6)
        privacy = replace(privacy, epsilon=None, rho=rho) if rho else privacy
    return replace(view, privacy=privacy).as_declared()
