"""Shards as Ray tasks give the bytes of one machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("hydra", reason="hydra-core is not installed")
try:
    import ray
except ImportError as error:
    pytest.skip(f"Ray is not installed ({error})", allow_module_level=True)

from simulations.errors import TraceInvalid
from simulations.experiments.ray_workers import RayWorkers
from simulations.experiments.running import carry_out, plan_runs
from simulations.shards.workers import Inline

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("RAY_OVERRIDE_RESOURCES")  # of the tests' fleets
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    yield
    ray.shutdown()


def files(folder: Path) -> dict[str, bytes]:
    """The contents of the stores and the values. RocksDB's own files hold ids and times of their creation and are left out."""
    found = [one for one in folder.rglob("*") if one.is_file() and "online" not in one.relative_to(folder).parts]
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in found if one.name not in ("run.json", "report.html")
    }


def test_a_run_by_ray_leaves_what_a_local_one_does(tmp_path: Path) -> None:
    fleet = [
        "fleet.clients=20000",
        "fleet.clients_per_site=1000",
        "fleet.site_tail=0",
        "fleet.events_per_day=0.02",
        "view=area_delay",
        "view.k=10",
    ]
    for name, more in (("local", []), ("ray", ["hydra/launcher=ray"])):
        with plan_runs([*fleet, *more], out=tmp_path / name) as runs:
            assert runs.experiments[0].what.source.blocks == 2
            carry_out(runs, 1, lambda *_: None)
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    assert len(files(tmp_path / "ray")) > 5


def test_results_come_in_order_and_what_a_task_raises_is_raised() -> None:
    def half(number: int) -> int:
        if number == 7:
            raise TraceInvalid(Path("x.csv"), "seven")
        return number * 2

    workers = RayWorkers(2)
    assert workers.count == 2
    assert list(workers.map(half, range(6))) == list(Inline().map(half, range(6)))
    with pytest.raises(TraceInvalid, match="seven"):
        list(workers.map(half, [1, 7]))
    workers.close()
    assert ray.is_initialized()  # the cluster was there before the run
