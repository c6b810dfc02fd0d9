"""The form that a definition had in earlier versions, so that an upgrade changes no registered view.

Versions before the exact accountant resolved `epsilon` by zCDP alone, and counted `max_cells` cells of a client-day also where a
day has fewer. Such a view keeps the form that is registered until its owner reprices it.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from .definitions import FeatureView
from .epsilon import largest_micro_rho
from .privacy import MAX_MICRO_RHO, exact


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
