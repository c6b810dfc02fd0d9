"""`--finish mpc` through real processes: SuperLink and Ray, leader, helper and provider, the coordinator."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from base.errors import PeerSpeaksTls
from base.ports import free_port
from base.tls.explain import explain
from base.tls.links import ClearText, Tls
from base.tls.roles import TlsRole
from deployment.collecting import run_folder
from deployment.local import processes_run as wire
from deployment.local.supervision.state_file import read_state
from featurestore.store import Store
from tests.covey.conftest import VIEWS
from tests.deployment.deployed import words
from tests.deployment.test_up import ended, logs, take_free_ports, write_visits

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


@pytest.mark.long  # three services that lose a provider, and a run in one process that loses a party, are always tested
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


@pytest.mark.long
def test_a_project_of_one_machine_starts_its_provider_with_tls_and_collects(covey: Covey, tmp_path: Path) -> None:
    """`covey init` and `covey up` are enough."""
    shop = tmp_path / "shop"
    assert covey("init", shop, "--sites", "1")[0] == 0
    take_free_ports(shop)
    with (shop / "covey.toml").open("a") as file:
        file.write(f'provider = "127.0.0.1:{free_port()}"\n')
    views = (shop / "views.py").read_text()
    assert "min_clients=50)" in views
    (shop / "views.py").write_text(views.replace("min_clients=50)", "min_clients=50, suppress_below=60)"))
    write_visits(tmp_path / "visits.csv")
    up = ["up", "--project", str(shop), "--finish", "mpc", "--no-collect", "--events", str(tmp_path / "visits.csv")]
    columns = ["--client-column", "customer", "--time-column", "at", "--from", "2026-05-01", "--to", "2026-05-02"]
    with ended(shop):
        done = subprocess.run(words(*up, *columns), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + logs(shop)
        code, out, _ = covey("release", "list", "--store", shop / "store", "--json")
        assert (code, len(json.loads(out))) == (0, 1)
        state = read_state(shop)
        assert state is not None
        provider = state.role("provider")
        assert provider is not None
        links = Tls(TlsRole.LEADER, shop / "keys")
        assert provider.address is not None
        assert explain(links, TlsRole.PROVIDER, provider.address, datetime.now(UTC)) is None
        assert isinstance(
            explain(ClearText(TlsRole.LEADER), TlsRole.PROVIDER, provider.address, datetime.now(UTC)), PeerSpeaksTls
        )
