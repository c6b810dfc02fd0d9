"""The coordinator of a run on one machine, and its sites in Flower's simulation runtime, as one process.

    python -m deployment.local.simulated_fleet JOB.json MODULE:APP

The messages between coordinator and sites stay in this process's memory, and the sites' code runs in Ray's workers. So the
run opens no Flower port. Ray's ports require the run's token, which is in a folder that only its user can open.
"""

from __future__ import annotations

import gc

from base.start_up import GC_THRESHOLD, hide_pandas

if __name__ == "__main__":
    gc.set_threshold(GC_THRESHOLD)
    hide_pandas()

import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Final

from flwr.clientapp import ClientApp
from flwr.simulation import run_simulation

from deployment.coordinator.flower_app import server_app
from deployment.coordinator.job import Job

BACKEND: Final = {"client_resources": {"num_cpus": 1}, "init_args": {"include_dashboard": False}}
"""One site for each core; Ray without its dashboard."""


def main(job_file: str, client_app: str) -> None:
    """Run a job to its end.

    Args:
        client_app: `module:attribute` of an installed ClientApp; no other code is ever loaded.
    """
    job = Job.load(Path(job_file))
    module, _, attribute = client_app.partition(":")
    app: ClientApp = getattr(import_module(module), attribute)
    try:
        run_simulation(server_app(job), app, job.sites, backend_config=BACKEND)
    except Exception:  # noqa: BLE001 - the process ends, whatever Flower or Ray has failed with
        traceback.print_exc()
        sys.stderr.flush()
        # Flower leaves the coordinator's thread running. It waits for sites that no longer run, and would keep the process
        # alive until its deadline. The parent process sees this process end, and restarts it.
        os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
