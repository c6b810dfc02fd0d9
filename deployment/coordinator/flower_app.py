"""The coordinator of a simulated fleet: a ServerApp that carries out one job, publishes, and renames its result into place.

Flower tells of no failure, so success is the result file and nothing else.
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
from base.times import wall_clock

from .job import Job
from .job_run import run_job
from .sites import SiteAnswer, ask_sites

_log = logging.getLogger("covey.coordinator")


def server_app(job: Job) -> ServerApp:
    """A ServerApp for this job."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, _context: Context) -> None:
        run(job, grid)

    return app


def run(job: Job, grid: Grid) -> None:
    """Carry out the job alone, or say in its file of failure why not."""

    def ask(*told: bytes) -> Iterable[SiteAnswer]:
        return ask_sites(grid, *told, sites=job.sites, seconds=job.seconds, clock=time.monotonic, sleep=time.sleep)

    with job.alone():
        if job.result.is_file():  # an attempt that was thought dead may have gone on, and be done by now
            return
        try:
            run_job(job, ask, wall_clock)
        except CoveyError as error:
            _log.exception("the collection failed")
            job.fail(str(error), lost=isinstance(error, RemoteRefusal) and error.reason in LOST)
