from __future__ import annotations

import numpy as np
import pytest

from federation.errors import PartyInvalid, RosterExceeded, UnknownSite
from federation.parties import Roster, RosterEntry, require_site_id
from federation.terms import default_participation

from .wire import OTHER_SITE, ROSTER, SITE


@pytest.mark.parametrize("site", ["1", "UA", "9E", "clinic_7.north-2", "x" * 64])
def test_these_are_site_ids(site: str) -> None:
    assert require_site_id(site) == site


@pytest.mark.parametrize("site", ["", ".", "-a", "a/b", "a b", "é", "a\n", "x" * 65, "٣"])
def test_these_are_not(site: str) -> None:
    with pytest.raises(PartyInvalid):
        require_site_id(site)


def test_a_roster_knows_each_site_and_key_once() -> None:
    assert ROSTER["a"].key == SITE.public.sign
    with pytest.raises(UnknownSite, match="'c' is not on this aggregator's roster"):
        ROSTER["c"]
    key = SITE.public.sign
    for entries, what in (
        ([RosterEntry("a", key, 1), RosterEntry("a", OTHER_SITE.public.sign, 1)], "site a"),
        ([RosterEntry("a", key, 1), RosterEntry("b", key, 1)], "key"),
    ):
        with pytest.raises(PartyInvalid, match=f"{what}.* on the roster twice"):
            Roster(entries)
    for most in (0, -1, 2**31):
        with pytest.raises(PartyInvalid, match=f"max_clients {most} is outside"):
            RosterEntry("a", key, most)


def test_counts_run_across_batches_and_a_refused_batch_changes_nothing() -> None:
    entry = RosterEntry("a", SITE.public.sign, 3)
    taken = np.zeros(4, np.int64)
    for batch in ([0, 0, 3], [0, 3]):
        touched, counts = entry.count(taken, np.array(batch, np.uint32))
        taken[touched] = counts
    assert taken.tolist() == [3, 0, 0, 2]
    with pytest.raises(RosterExceeded) as raised:
        entry.count(taken, np.array([1, 3, 3], np.uint32))
    assert (raised.value.collection, raised.value.have, raised.value.most) == (3, 4, 3)
    assert taken.tolist() == [3, 0, 0, 2]


def test_everybody_reports_by_default_where_each_site_is_one_client() -> None:
    assert default_participation([1, 1, 1]) == "all"
    assert default_participation([1, 2]) == "active"
    assert default_participation([]) == "active"
