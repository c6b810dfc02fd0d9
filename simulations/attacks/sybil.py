"""The Sybil attack: invented reports fill a pane up to k, so the target's report is its only real one.

Source: Douceur 2002, "The Sybil Attack", §3; against secure aggregation, Bonawitz et al. 2017, "Practical Secure Aggregation
for Privacy-Preserving Machine Learning", on active adversaries: who can invent users surrounds one with them.

The coordinator withholds all batches except the target's. A stranger without a key on the rosters sends k − 1 reports of zeros.
The opened sums still have noise; the measured ε shows how well the noise protects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from crypto.signing import VerifyKey
from featurestore.define.kinds import Count
from featurestore.define.layout import Layout
from federation.aggregation import open_shares
from federation.parties import Roster, RosterEntry
from federation.terms import Noise

from .attack import (
    AttackResult,
    DescribedAttack,
    Measure,
    Progress,
    ResultLabels,
    Series,
    Setting,
    Success,
    epsilon_note,
    result_of,
)
from .stage.panes import TwoWorlds, claimed, noise_of, opened, plan_of, reports_of, rng_of, view_of
from .stage.sealed import Site, StageKeys, take
from .statistics.bounds import Scores
from .statistics.measures import epsilon, rate, roc

MARGIN: Final = 0.5


class OpenRoster(Roster):
    """A roster that also accepts strangers: the defence is off.

    Args:
        strangers: the signing key of each stranger, by the name that it claims.
    """

    def __init__(self, entries: Iterable[RosterEntry], strangers: Mapping[str, VerifyKey], most: int) -> None:
        super().__init__([*entries, *(RosterEntry(name, key, most) for name, key in strangers.items())])


class Sybil(DescribedAttack):
    """A stranger's reports hide only the target's."""

    def __init__(self) -> None:
        super().__init__("sybil")

    def run(self, setting: Setting, *, defended: bool, progress: Progress) -> AttackResult:
        """Measure the share of the panes that are opened with the target alone among invented reports."""

        def roster(target: Site, inventor: Site) -> Roster:
            entries = [RosterEntry(target.name, target.keys.sign.public, 1)]
            if defended:
                return Roster(entries)
            return OpenRoster(entries, {inventor.name: inventor.keys.sign.public}, setting.k)

        filled = fill(setting, self.name, roster, Noise.FULL)
        progress(1, 1)
        effect, bound = filled.rate, claimed(filled.layout, setting)
        measured: Measure | None = None
        curve: tuple[Series, ...] = ()
        if filled.scores is not None:
            measured = epsilon(filled.scores, gaussian=True, delta=setting.delta)
            curve = (roc("likelihood ratio", filled.scores),)
        note = (
            f"{filled.refused:,} of {filled.invented:,} invented reports were refused, and {effect.estimate:.0%} of the panes "
            f"were opened; {epsilon_note(measured, bound)}."
        )
        labels = ResultLabels(curve, "false-positive rate", "true-positive rate", note)
        return result_of(
            self, setting, labels, Success(effect, 0.0, MARGIN), defended=defended, epsilon=measured, claimed=bound
        )


@dataclass(frozen=True, eq=False)
class FilledPanes:
    """The results of panes that were filled up with invented reports.

    Attributes:
        rate: share of the panes that were opened.
        scores: the attacker's scores; None unless all panes were opened.
    """

    layout: Layout
    rate: Measure
    scores: Scores | None
    invented: int
    refused: int


class RosterOf(Protocol):
    """Makes the roster of both aggregators from the target's site and the site of the invented reports."""

    def __call__(self, target: Site, inventor: Site) -> Roster:
        """Return the roster. Both aggregators have the same."""
        ...


def fill(setting: Setting, label: str, roster_of: RosterOf, noise: Noise) -> FilledPanes:
    """Run panes of the target's report and k − 1 invented reports of zeros; half of the targets are active."""
    rng, view = rng_of(setting, label), view_of(setting, Count("n"))
    parties = StageKeys.generate(rng.bytes)
    target, inventor = (Site.generate(name, rng.bytes) for name in ("target", "inventor"))
    plan = parties.with_live_keys(plan_of(view, 2 * setting.trials, rng, noise=noise, wire=parties.terms))
    layout = plan.views[0].layout
    zeros = np.zeros((2 * setting.trials, setting.k - 1), np.bool_)
    worlds = TwoWorlds.make(layout, np.ones(layout.length, np.int64), zeros)
    batches = [
        *target.send(plan, reports_of(worlds.vectors[:, :1]), rng.bytes),
        *inventor.send(plan, reports_of(worlds.vectors[:, 1:]), rng.bytes),
    ]
    taken = take(plan, parties, roster_of(target, inventor), batches)
    leader, helper = noise_of(plan, setting, label)
    shares = taken.leader.noise(taken.helper.commitment, leader), taken.helper.noise(taken.leader.commitment, helper)
    are_open = opened(shares[0].outcomes[0])
    scores = worlds.scores(open_shares(plan, *shares)[0].sums) if are_open.all() else None
    found = rate("opened panes", int(are_open.sum()), worlds.panes)
    return FilledPanes(layout, found, scores, invented=zeros.size, refused=taken.refused)
