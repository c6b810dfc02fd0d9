"""docs/bundles.md works as written, on a small store with other join keys."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")

from base.ports import free_port
from tests.training.bundle.test_deploy import QUICK
from tests.training.program import make_labels, make_store, write_config
from training.bundle.deploy import STEPS
from training.fit.deploy_sections import PromoteConfig, ServeConfig

Covey = Callable[..., tuple[int, str, str]]

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "bundles.md").read_text(encoding="utf-8")
DEPLOYING, SCORING = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)


@pytest.fixture
def place(covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with `examples/late_model.toml` and `flights-store`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").mkdir()
    store = tmp_path / "flights-store"
    make_labels(store, make_store(store))
    labels = pq.read_table(store / "labels.parquet")
    names = {"dest": "dest", "at": "sched_dep"}
    pq.write_table(
        labels.rename_columns([names.get(name, name) for name in labels.column_names]), store / "labels.parquet"
    )
    yield tmp_path
    covey("deploy", tmp_path / "examples" / "late_model.toml", "--stop")


def test_the_pages_commands_work_as_written(covey: Covey, place: Path) -> None:
    port = free_port()
    labels = {"file": "../flights-store/labels.parquet", "time": "sched_dep"}
    write_config(
        place / "examples", "late_model.toml", model=QUICK, labels=labels, serve={"port": port},
        **{"": {"store": "../flights-store"}},
    )  # fmt: skip
    printed = []
    for line in DEPLOYING.splitlines():
        if line.startswith("curl"):
            words = line.replace("6566", str(port)).replace('"carrier": ["UA"]', '"dest": ["ATL"]')
            words = words.replace(', "hour": [18]', "")
            printed.append(subprocess.run(words, shell=True, capture_output=True, text=True, check=True).stdout)
            continue
        code, out, err = covey(*line.split()[1:])
        assert code == 0, (line, err)
        printed.append(out)
    plan, first, second, status, predicted, _ = printed
    assert "would run" in plan
    assert first.endswith("late: deployed\n")
    assert second.endswith("late: nothing to do\n")
    assert f"server    ready, 127.0.0.1:{port}" in status
    assert [0 < one < 1 for one in json.loads(predicted)["predictions"]] == [True]
    for line in SCORING.splitlines():
        code, _, err = covey(*line.replace("carrier", "dest").split()[1:])
        assert code == 0, (line, err)
    assert pq.read_table(place / "scored.parquet").num_rows == 3000
    assert (place / "now.csv").read_text().startswith('"dest","prediction","version","epoch","statuses"\n')


def test_the_page_names_every_step_and_every_key_of_its_sections() -> None:
    assert tuple(re.findall(r"^\| (\w+) \| ", PAGE, flags=re.M)[1:]) == STEPS
    for section, of in (("promote", PromoteConfig), ("serve", ServeConfig)):
        (block,) = re.findall(rf"```text\n\[{section}\]\n(.*?)```", PAGE, flags=re.S)
        assert re.findall(r"^(\w+) =", block, flags=re.M) == list(of.model_fields)
