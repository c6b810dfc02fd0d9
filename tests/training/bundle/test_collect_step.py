from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")

from deployment.run import RunReport
from featurestore.publish.publish import Publisher
from tests.covey.conftest import VIEWS, make_events
from tests.training.program import write_config
from training.bundle import collect as collect_module
from training.fit.config import TrainConfig

Covey = Callable[..., tuple[int, str, str]]
DAY_US = 86_400_000_000


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose store does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "views.py").write_text(VIEWS)
    pq.write_table(make_events(), tmp_path / "events.parquet")
    rng = np.random.default_rng(0)
    at = pa.array(rng.integers(1_588_400_000, 1_588_600_000, 400), pa.timestamp("s"))
    labels = {"shop": rng.choice(["a", "b"], 400).tolist(), "at": at, "late": rng.random(400) < 0.4}
    pq.write_table(pa.table(labels), tmp_path / "labels.parquet")
    return write_config(
        tmp_path,
        **{"": {"store": "fresh"}},
        labels={"columns": None, "max_missing": 0.9},
        features={"refs": ["visits:visits", "everywhere:all"]},
        split={"valid_from": "2020-05-03", "test_from": "2020-05-03T12:00:00"},
        model={"epochs": 1},
        collect={
            "views": "views.py", "events": "events.parquet", "client_column": "who", "time_column": "at",
            "site_column": "site", "budget": 1, "in_process": True,
        },
    )  # fmt: skip


def outcomes(covey: Covey, config: Path) -> dict[str, Any]:
    code, out, err = covey("deploy", config, "--trust", "--json")
    assert code == 0, err
    return {one["step"]: one for one in json.loads(out)["steps"]}


def test_events_are_collected_first_and_later_ones_train_nothing_that_no_label_can_see(
    covey: Covey, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert covey("deploy", config)[0] == 4  # its views are code
    code, out, err = covey("deploy", config, "--trust", "--dry-run")
    assert code == 0, err
    assert out.startswith("collect   would run (for the first time)\ntrain     would run (if the step collect makes")
    with monkeypatch.context() as patch:

        def interrupted(*_: Any) -> Any:
            raise KeyboardInterrupt

        patch.setattr(collect_module, "collect_events", interrupted)
        code, _, err = covey("deploy", config, "--trust")
        assert code == 130
        assert "interrupted; the steps that are done are kept, and the same command goes on" in err
    first = outcomes(covey, config)
    assert [one["did"] for one in first.values()] == ["run", "run", "run", "run", "left_out"]
    assert "panes opened, 0 were open already" in first["collect"]["result"]
    assert {one["did"] for one in outcomes(covey, config).values()} == {"skip", "left_out"}

    events = make_events()
    later = events.set_column(2, "at", pc.add(events["at"], pa.scalar(5 * DAY_US, pa.duration("us"))))
    pq.write_table(pa.concat_tables([events, later]), config.parent / "events.parquet")
    third = outcomes(covey, config)
    assert third["collect"]["why"] == "changed: events"
    assert " 0 panes opened" not in f" {third['collect']['result']}"
    assert [one["did"] for one in third.values()] == ["run", "skip", "skip", "skip", "left_out"]


def test_a_collection_that_was_cut_off_is_resumed_first(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    report = RunReport(config.parent / "fresh", None, ())
    monkeypatch.setattr("deployment.run.resume", lambda *_: done.append("resume"))
    monkeypatch.setattr(collect_module, "collect_events", lambda *_: done.append("collect") or report)
    settings = TrainConfig.load(config)
    assert settings.collect is not None
    step = collect_module.CollectStep(settings, settings.collect)
    assert step.lost("0") == f"there is no store in {config.parent / 'fresh'}"
    with Publisher(config.parent / "fresh", lambda: 0):
        assert step.lost("0") is None
        (config.parent / "fresh.unfinished").mkdir()
        assert step.lost("0") == "a collection was cut off"
    assert step.run(lambda *_: None).said == "0 panes opened, 0 were open already"
    assert done == ["resume", "collect"]
