"""The coordinator behind Flower: a ServerApp that reads one job, runs it, publishes, and renames its result into place.

`flwr run` exits 0 when a run has failed, so success is the result file and nothing else.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from crypto.errors import CryptoError
from featurestore.errors import FeatureStoreError
from featurestore.publish import Publisher
from federation.errors import FederationError
from federation.keys import RoleKeys, load_keys
from federation.plan import plan_from_bytes
from federation.release_signing import sign_release

from .client import Aggregators
from .collector import releases_of
from .coordinator import Collected, collect
from .errors import AggregatorError
from .job import Job
from .sites import SiteAnswer, ask_sites

app = ServerApp()
_log = logging.getLogger("covey.coordinator")


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the job that the run's configuration names."""
    job = Job.load(Path(str(context.run_config["job"])))
    plan = plan_from_bytes(job.plan)
    coordinator, collector = load_keys(job.keys, "coordinator"), load_keys(job.keys, "collector")

    def ask(signed: bytes) -> Iterable[SiteAnswer]:
        return ask_sites(grid, signed, sites=job.sites, seconds=job.seconds, clock=time.monotonic, sleep=time.sleep)

    def progress(answer: SiteAnswer) -> None:
        _append(job.progress, {"site": answer.site, "code": answer.code, "batches": len(answer.batches)})

    try:
        with Aggregators(job.leader, job.helper) as aggregators:
            collected = collect(plan, coordinator.sign, collector, ask, aggregators, progress)
        _publish(job, collected, collector)
    except (AggregatorError, FederationError, CryptoError, FeatureStoreError) as error:
        _log.exception("the collection failed")
        job.fail(str(error))


def _publish(job: Job, collected: Collected, collector: RoleKeys) -> None:
    plan = plan_from_bytes(job.plan)
    now = time.time_ns() // 1_000
    with Publisher(job.store, lambda: time.time_ns() // 1_000) as publisher:
        for opened in collected.opened:
            publisher.register(opened.planned.view)
            items = releases_of(
                plan, opened, now=now, clock="replay", noise_source="opendp, opendp", trust="one-honest-noiser"
            )
            publisher.publish([sign_release(item, collector.sign) for item in items])
    job.finish(
        {
            "views": {
                opened.planned.view.name: {"opened": len(opened.sums), "void": len(opened.outcomes) - len(opened.sums)}
                for opened in collected.opened
            },
            "answers": collected.answers,
            "batches": collected.batches,
            "refused": collected.refused,
        }
    )


def _append(path: Path, line: dict[str, object]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
