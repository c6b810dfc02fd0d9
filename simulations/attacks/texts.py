"""The lab's attacks by name, in words; a file of its own, so that a help text waits for nothing heavy."""

from __future__ import annotations

from typing import Final, NamedTuple


class Texts(NamedTuple):
    """What an attack is, what stands against it, and the one thing that is off where the defence is."""

    what: str
    defence: str
    off: str


TEXTS: Final[dict[str, Texts]] = {
    "differencing": Texts(
        "opens one pane again and again, with and without the target's report, and compares",
        "each pane is opened once, by the aggregators' ledgers",
        "the aggregators keep no ledger",
    ),
    "membership": Texts(
        "knows all other clients, and infers from a release whether the target was active",
        "the noise",
        "the plan says noise none",
    ),
    "reconstruction": Texts(
        "opens a pane for many random subsets of its clients, and solves for every client's bit",
        "each pane is opened once, by the aggregators' ledgers",
        "the aggregators keep no ledger",
    ),
    "attribute": Texts(
        "reads a sensitive attribute off cells of one to three clients",
        "the noise",
        "the plan says noise none; k stays, and counts the reports of a pane, not of a cell; suppress_below is never set",
    ),
    "poisoning": Texts(
        "a few clients report a value far beyond the bounds, to move a sum",
        "every report proves that it is within the bounds (validity prio3)",
        "the plan says validity none",
    ),
    "sybil": Texts(
        "somebody without a site key fills a pane up to k, so that the target is alone among invented reports",
        "site signatures, checked against each aggregator's own roster",
        "the aggregators take any batch that is signed, whoever signed it",
    ),
    "sybil-enrolled": Texts(
        "an enrolled site invents clients up to its roster maximum: that beats k always, and the target is alone",
        "the noise, which holds whatever k is worth",
        "the plan says noise none",
    ),
    "drop-all-but-one": Texts(
        "a malicious leader drops every report but the target's, and adds no noise of its own",
        "the helper's own k, and its own set of reports",
        "the helper accepts the leader's count and set",
    ),
    "colluding-sites": Texts(
        "all sites but the target's pool what they know, and subtract it",
        "the noise",
        "the plan says noise none",
    ),
    "straggler": Texts(
        "the coordinator sees whether, and when, a site of one client answers",
        "participation all: every enrolled client reports, zeros too",
        "participation active: only clients with events report",
    ),
}
"""By name, in the order in which they are listed."""
