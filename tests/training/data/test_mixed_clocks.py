"""Training data of a view with live and replayed releases: a warning, and the releases of one kind."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from featurestore.join.mixed_clocks import MixedClocks  # noqa: E402
from featurestore.publish.publish import Publisher  # noqa: E402
from tests.featurestore.making import DAY, HOUR, a_release  # noqa: E402
from tests.training.program import DAYS, make_labels, make_store, traffic, write_config  # noqa: E402
from training.data.dataset import FeatureDataset  # noqa: E402

MIXES = r"the history of traffic mixes 1 live and 40 replayed pane\(s\)"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make_labels(tmp_path, make_store(tmp_path))
    with Publisher(tmp_path, lambda: 100 * DAY) as publisher:
        publisher.publish([a_release(traffic(), DAYS * DAY, 7, released_at=(DAYS + 2) * DAY)])
    return tmp_path


def flights(project: Path, clock: str | None) -> list[float]:
    """The flights that a label after all releases gets."""
    at = pa.array([(DAYS + 3) * DAY + HOUR] * 2, pa.timestamp("us"))
    labels = pa.table({"dest": ["ATL", "LAX"], "at": at, "late": [0, 1]})
    dataset = FeatureDataset(
        project, labels=labels, features=["traffic:flights"], time="at", target="late", clock=clock, max_missing=1
    )  # type: ignore[arg-type]
    (batch,) = dataset
    return batch["x"][:2, 0].tolist()


def releases_of(out: str) -> list[str]:
    """The releases of the view traffic in the lineage of a trained model."""
    lineage = json.loads((Path(json.loads(out)["folder"]) / "lineage.json").read_text(encoding="utf-8"))
    (view,) = (view for view in lineage["views"] if view["name"] == "traffic")
    found: list[str] = view["releases"]
    return found


def test_a_dataset_warns_and_can_be_told_to_join_one_kind(project: Path) -> None:
    with pytest.warns(MixedClocks, match=MIXES + r".* clock = \"live\" or \"replay\" joins one kind"):
        both = flights(project, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MixedClocks)
        live, replay = flights(project, "live"), flights(project, "replay")
    assert both == live == [7, 7]
    assert replay != live  # each kind has a cache of its own


def test_a_training_warns_on_its_console_and_takes_the_clock_of_its_configuration(
    project: Path, covey: Callable[..., tuple[int, str, str]]
) -> None:
    early = a_release(traffic(), -DAY, 7, released_at=DAY)  # a live one that all labels see
    with Publisher(project, lambda: 100 * DAY) as publisher:
        publisher.publish([early])
    code, out, err = covey("train", str(write_config(project)), "--json")
    assert (code, err.count("warning: the history of traffic@v1 mixes")) == (0, 1)
    assert early.release_id.hex() in releases_of(out)
    one = write_config(project, labels={"clock": "replay"})
    code, out, err = covey("train", str(one), "--json")
    assert (code, "warning" in err) == (0, False)
    assert early.release_id.hex() not in releases_of(out)
