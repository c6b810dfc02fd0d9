"""Descriptions of the attacks, by name. A module of its own, so that help texts load no heavy modules."""

from __future__ import annotations

from typing import Final, NamedTuple


class Texts(NamedTuple):
    """The action of an attack, its defence, and the one change that turns the defence off."""

    what: str
    defence: str
    off: str


TEXTS: Final[dict[str, Texts]] = {
    "differencing": Texts(
        "opens one pane many times, with and without the target's report, and compares the sums",
        "each pane is opened once, by the aggregators' ledgers",
        "the aggregators keep no ledger",
    ),
    "membership": Texts(
        "knows all other clients and infers from a release whether the target was active",
        "the noise",
        "the plan says noise none",
    ),
    "reconstruction": Texts(
        "opens a pane for many random subsets of its clients and solves for the bit of every client",
        "each pane is opened once, by the aggregators' ledgers",
        "the aggregators keep no ledger",
    ),
    "attribute": Texts(
        "infers a sensitive attribute from cells of one to three clients",
        "the noise",
        "the plan says noise none; k still counts the reports of a pane, not of a cell; suppress_below is never set",
    ),
    "poisoning": Texts(
        "a few clients report a value far beyond the bounds to move a sum",
        "every report proves that it is within the bounds (validity prio3)",
        "the plan says validity none",
    ),
    "sybil": Texts(
        "a stranger without a site key fills a pane up to k, so that the target is alone among invented reports",
        "site signatures, checked against each aggregator's own roster",
        "the aggregators accept every signed batch, whoever signed it",
    ),
    "sybil-enrolled": Texts(
        "an enrolled site invents clients up to its roster maximum; this always defeats k, and the target is alone",
        "the noise, which protects even if k does not",
        "the plan says noise none",
    ),
    "drop-all-but-one": Texts(
        "a malicious leader drops every report but the target's and adds no noise of its own",
        "the helper's own k and its own set of reports",
        "the helper accepts the leader's count and set",
    ),
    "colluding-sites": Texts(
        "all sites but the target's pool their reports and subtract them from the sum",
        "the noise",
        "the plan says noise none",
    ),
    "straggler": Texts(
        "the coordinator observes whether and when a site of one client answers",
        "participation all: every enrolled client reports, zeros too",
        "participation active: only clients with events report",
    ),
}
"""The descriptions by name, in the order of `covey lab list`."""
