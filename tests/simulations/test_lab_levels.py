"""Three levels of realism agree in every value of every view. Impossible collections are refused before anything runs."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployment import request
from deployment.coordinator.site_results import SiteResult
from deployment.errors import CollectionFailed, RunRefused
from featurestore.define.definitions import FeatureView
from featurestore.define.privacy import Privacy
from simulations.experiments.config import composer
from simulations.experiments.experiment import prepare as prepare_experiment
from simulations.fleets.arrivals import Generated
from simulations.levels.collect import STORE, TRUTH
from simulations.levels.collection import require_possible
from simulations.levels.real import _require_whole, prepare
from tests.simulations.shards.small import DAILY, VIEWS, slots_of

from .lab_fleet import FLEET, TINY, collected, collection, tiny, values

PARTS = ("active", "all")


@pytest.mark.parametrize("participation", ["active", pytest.param("all", marks=pytest.mark.long)])
def test_processes_open_what_memory_opens(tmp_path: Path, participation: str) -> None:
    memory = collected(collection(participation=participation), tmp_path / "memory")
    real = collected(collection(participation=participation, level="processes"), tmp_path / "processes")
    assert min(memory.tally.offline, memory.tally.lost, memory.tally.late) > 0
    assert real.tally == memory.tally  # every report, batch and byte
    assert (real.opened, real.void) == (memory.opened, memory.void)
    assert (sum(memory.void.values()) > 0) == (participation == "active")
    expected = values(tmp_path / "memory")
    assert values(tmp_path / "processes") == expected
    assert sorted(path.name for path in (tmp_path / "processes").iterdir()) == [STORE, TRUTH]
    assert real.peak_bytes > 0
    for view in VIEWS:
        assert expected[STORE, view.name].num_rows == 3 * (24 if view is not DAILY else 1) * 2
        released, true = (expected[store, view.name] for store in (STORE, TRUTH))
        features = [name for name in released.column_names if "_se" not in name and name != "release_id"]
        assert [name for name in features if released[name] != true[name]] == []


@pytest.mark.parametrize("participation", PARTS)
def test_sums_of_sites_open_what_their_clients_reports_open(tmp_path: Path, participation: str) -> None:
    clients = collection(participation=participation)
    each = collected(clients, tmp_path / "clients")
    sums = collected(collection(participation=participation, report_per="site"), tmp_path / "sites")
    assert (sums.opened, sums.void) == (each.opened, each.void)
    for (name, released), other in zip(
        values(tmp_path / "clients").items(), values(tmp_path / "sites").values(), strict=True
    ):
        assert released.drop_columns("release_id") == other.drop_columns("release_id"), name
    assert sum(sums.tally.reports.values()) < sum(each.tally.reports.values())
    if participation == "all":  # one report of each site whose answer counts, and pane: of an hourly and a daily view
        in_time = sums.tally.answered - sums.tally.lost - sums.tally.late
        assert sum(sums.tally.reports.values()) == in_time * 3 * (24 + 1)


def test_processes_take_sums_of_sites_as_memory_does(tmp_path: Path) -> None:
    tiny_sums = tiny(report_per="site")
    memory = collected(tiny_sums, tmp_path / "memory")
    real = collected(replace(tiny_sums, level="processes"), tmp_path / "processes")
    assert memory.opened == {"daily": 1}
    assert real.tally == memory.tally
    assert values(tmp_path / "processes", (DAILY,)) == values(tmp_path / "memory", (DAILY,))


def test_a_superlink_and_its_nodes_open_what_memory_opens(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")
    memory = collected(collection(participation="all"), tmp_path / "memory")
    real = collected(collection(participation="all", level="flower"), tmp_path / "flower")
    assert (real.opened, real.void, real.tally.reports) == (memory.opened, memory.void, memory.tally.reports)
    in_time = memory.tally.answered - memory.tally.lost - memory.tally.late
    assert real.tally.batches == 2 * in_time < memory.tally.batches
    assert 0 < real.tally.bytes_sent < memory.tally.bytes_sent
    assert values(tmp_path / "flower") == values(tmp_path / "memory")


def test_encrypted_reports_open_to_the_same_sums(tmp_path: Path) -> None:
    pytest.importorskip("tenseal")
    shares = collected(tiny(), tmp_path / "shares")
    encrypted = collected(tiny(protection="he"), tmp_path / "he")
    assert encrypted.tally.reports == shares.tally.reports
    assert encrypted.tally.bytes_sent > 50 * shares.tally.bytes_sent
    assert shares.opened == encrypted.opened == {"daily": 1}
    for (name, released), other in zip(
        values(tmp_path / "shares", (DAILY,)).items(), values(tmp_path / "he", (DAILY,)).values(), strict=True
    ):
        assert released.drop_columns("release_id") == other.drop_columns("release_id"), name


def test_seeded_noise_under_he_is_the_same_again(tmp_path: Path) -> None:
    pytest.importorskip("tenseal")
    for folder in ("one", "two"):
        collected(tiny(protection="he", noise="on"), tmp_path / folder)
    one, two = (values(tmp_path / folder, (DAILY,)) for folder in ("one", "two"))
    assert one == two
    assert one[STORE, "daily"]["people"] != one[TRUTH, "daily"]["people"]


@pytest.mark.skipif(importlib.util.find_spec("crypten") is None, reason="CrypTen is not installed (see docs/mpc.md)")
def test_the_finish_mpc_withholds_small_cells_and_opens_the_others_as_they_are(tmp_path: Path) -> None:
    collected(tiny(noise="on"), tmp_path / "open")
    (counts,) = (slots.reshape(2, -1) for slots in slots_of(tmp_path / "open" / STORE, "daily").values())
    limit = int(counts[:, 0].max())  # people: the first slot of a key
    view = FeatureView(
        DAILY.name,
        entity=DAILY.entity,
        pane=DAILY.pane,
        features=list(DAILY.features),
        bounds=DAILY.bounds,
        privacy=Privacy(rho=0.5, min_clients=5, suppress_below=limit),
    )
    whole = collection((view,), TINY, noise="on", finish="mpc")
    collected(whole, tmp_path / "mpc")
    (kept,) = (slots.reshape(2, -1) for slots in slots_of(tmp_path / "mpc" / STORE, "daily").values())
    small = counts[:, 0] < limit
    assert small.tolist().count(True) == 1
    assert (kept[small] == 0).all()
    assert np.array_equal(kept[~small], counts[~small])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"level": "processes", "noise": "on"},
            "level=processes accepts no noise seed: aggregators that are processes draw their own noise",
        ),
        (
            {"level": "flower", "noise": "on"},
            "level=flower accepts no noise seed: aggregators that are processes draw their own noise",
        ),
        ({"finish": "mpc"}, "finish 'mpc' requires noise 'full'"),
        ({"finish": "mpc", "noise": "on"}, "view 'hourly' has no suppress_below"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr(request, "require_crypten", lambda: None)  # no run here gets to the finish
    whole = collection(**change)
    with pytest.raises(RunRefused, match=says):
        collected(whole, tmp_path / "lab")
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("validity=prio3",),
            "validity 'prio3' requires protection 'shares': nothing can be proven of encrypted reports",
        ),
        (("report_per=site",), "report_per 'site' requires protection 'shares'"),
        (("finish=mpc", "noise=on"), "finish 'mpc' requires protection 'shares'"),
    ],
)
def test_what_does_not_go_with_encrypted_reports_is_refused_where_a_configuration_is_read(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    with composer() as of, pytest.raises(RunRefused, match=says):
        prepare_experiment(of.compose(["experiment=exact", "protection=he", *words]), tmp_path)


def test_days_that_are_not_over_are_refused_where_the_aggregators_have_a_clock() -> None:
    future = collection(fleet=replace(FLEET, first_day=39_000))
    require_possible(future)
    with pytest.raises(RunRefused, match="the fleet's last day is over in"):
        require_possible(replace(future, level="processes"))


def test_a_fleet_of_which_nobody_answers_has_no_node(tmp_path: Path) -> None:
    with pytest.raises(RunRefused, match="no site answers in time"):
        collected(collection(level="flower", arrivals=Generated(before=1.0)), tmp_path)


def test_a_site_that_does_not_take_part_fails_the_collection(tmp_path: Path) -> None:
    prepared = prepare(collection(), tmp_path)
    answers = {site: SiteResult("OK", 1).to_json() for site in prepared.counting}
    _require_whole(prepared, {"sites": answers})
    site = min(answers)
    for wrong, says in (
        ({**answers, site: SiteResult("SCHEMA").to_json()}, f"site '{site}': SCHEMA"),
        ({}, "NO_ANSWER"),
        ({**answers, site: SiteResult("OK", 1, {"SIGNATURE_INVALID": 1}).to_json()}, "the leader has refused batches"),
    ):
        with pytest.raises(CollectionFailed, match=says):
            _require_whole(prepared, {"sites": wrong})
