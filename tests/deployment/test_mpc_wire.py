"""`--finish mpc` through real processes: SuperLink and Ray, leader, helper and provider, the coordinator."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deployment.collecting import run_folder
from deployment.local import processes_run as wire
from featurestore.store import Store
from tests.covey.conftest import VIEWS

pytest.importorskip("ray", reason="a simulated fleet needs flwr[simulation]")
if importlib.util.find_spec("crypten") is None or importlib.util.find_spec("torch") is None:
    pytest.skip("CrypTen is not installed (extra `mpc`, then pip install --no-deps crypten)", allow_module_level=True)

Covey = Callable[..., tuple[int, str, str]]

LOST = """
import sys
from aggregator.mpc import finish
from covey.cli import call
finish.PROCESS = "tests.no_such_module"
sys.exit(call(sys.argv[1:]))
"""


def test_a_run_through_processes_that_lost_its_provider_is_resumed_and_verified(
    covey: Covey, project: Path, run_arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    daily = VIEWS.split("everywhere =")[0].replace("min_clients=5)", "min_clients=5, suppress_below=36)")
    assert "suppress_below" in daily
    (project / "views.py").write_text(daily)
    arguments = [*(word for word in run_arguments if word != "--in-process"), "--finish", "mpc"]
    real = wire._Fleet._command

    def losing(fleet: wire._Fleet, name: str) -> list[str]:
        command = real(fleet, name)
        return [sys.executable, "-c", LOST, *command[command.index("start") :]] if name == "provider" else command

    with monkeypatch.context() as patched:
        patched.setattr(wire._Fleet, "_command", losing)
        code, _, err = covey(*arguments)
    assert code == 1
    assert "the process of the provider has ended early" in " ".join(err.split())
    assert "the run is kept, so resume it; see --resume" in " ".join(err.split())

    code, out, err = covey("run", "--resume", "--store", project / "store", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert set(report["answers"].values()) == {"OK"}
    assert report["views"][0]["opened"] == 3
    assert not run_folder(project / "store").exists()
    code, out, _ = covey("release", "verify", "--all", "--store", project / "store", "--json")
    assert code == 0
    assert {one["state"] for one in json.loads(out)["releases"]} == {"verified"}
    _, listed, _ = covey("release", "list", "--store", project / "store", "--json")
    _, shown, _ = covey("release", "show", json.loads(listed)[0]["release_id"], "--store", project / "store", "--json")
    manifest = json.loads(shown)["manifest"]
    assert (manifest["finish"], manifest["trust"]) == ("mpc", "one-honest-noiser")
    with Store.open(project / "store") as store:
        people = store.history("visits")["people"].to_pylist()
    assert None in people  # a shop with about 25 people, within the noise's reach, was not opened
    assert min(one for one in people if one is not None) >= 36
    assert np.isfinite([one for one in people if one is not None]).all()
