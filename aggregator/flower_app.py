"""The coordinator behind Flower: a ServerApp that reads one job, runs it, publishes, and renames its result into place.

`flwr run` exits 0 when a run has failed, so success is the result file and nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from crypto.errors import CryptoError
from featurestore.errors import FeatureStoreError
from federation.errors import FederationError

from .errors import AggregatorError, Refused
from .job import Job
from .job_run import run_job
from .refusals import LOST
from .sites import SiteAnswer, ask_sites

app = ServerApp()
_log = logging.getLogger("covey.coordinator")


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the job that the run's configuration names."""
    job = Job.load(Path(str(context.run_config["job"])))
    with job.alone():
        if not job.result.is_file():  # an attempt whose `flwr run` has died may have gone on, and be done by now
            _run(job, grid)


def _run(job: Job, grid: Grid) -> None:
    def ask(*told: bytes) -> Iterable[SiteAnswer]:
        return ask_sites(grid, *told, sites=job.sites, seconds=job.seconds, clock=time.monotonic, sleep=time.sleep)

    try:
        run_job(job, ask, _now)
    except (AggregatorError, FederationError, CryptoError, FeatureStoreError) as error:
        _log.exception("the collection failed")
        job.fail(str(error), lost=isinstance(error, Refused) and error.reason in LOST)


def _now() -> int:
    return time.time_ns() // 1_000
