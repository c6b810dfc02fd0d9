"""The coordinator of a simulated fleet: a ServerApp that runs one job, publishes, and renames its result into place.

Flower does not report failures, so only the result file means success.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from aggregator.errors import RemoteRefusal
from aggregator.intake.refusals import LOST
from base.errors import CoveyError
from base.metrics import Meters
from base.times import wall_clock

from .job import Job
from .job_run import aggregators_of, run_job
from .site_answer import SiteAnswer
from .sites import ask_sites, plan_message

_log = logging.getLogger("covey.coordinator")


def server_app(job: Job) -> ServerApp:
    """A ServerApp for this job."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, _context: Context) -> None:
        run(job, grid)

    return app


def run(job: Job, grid: Grid) -> None:
    """Run the job under its lock, or write the reason of the failure to its failure file."""

    def ask(*message: bytes) -> Iterable[SiteAnswer]:
        return ask_sites(
            grid, plan_message(*message), sites=job.sites, seconds=job.seconds, clock=time.monotonic, sleep=time.sleep
        )

    with job.alone():
        if job.result.is_file():  # an earlier attempt, taken for dead, may have finished meanwhile
            return
        try:
            with aggregators_of(job) as aggregators:
                run_job(job, aggregators, ask, wall_clock, Meters())
        except CoveyError as error:
            _log.exception("the collection failed")
            job.fail(str(error), lost=isinstance(error, RemoteRefusal) and error.reason in LOST)
