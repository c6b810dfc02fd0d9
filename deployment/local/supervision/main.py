"""The supervisor of a deployment, as `covey up` starts it: `python -m deployment.local.supervision.main PROJECT FORMAT LOCK`.

LOCK is the descriptor of the project's lock, which `covey up` passes on.
"""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

from base.errors import DONE, FAILURE, CoveyError
from base.locks import FileLock
from base.logs import LogFormat, logging_as
from base.start_up import end_quickly

from .deployment import Deployment
from .supervise import SUPERVISOR, supervise

_log = logging.getLogger("deployment.local.supervision")


def main(project: Path, form: LogFormat, lock: FileLock) -> int:
    """Supervise until SIGTERM; returns the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with lock, logging_as(SUPERVISOR, form):
        try:
            supervise(Deployment.load(project))
        except (CoveyError, OSError) as error:
            _log.error("%s", error)
            return error.exit_code if isinstance(error, CoveyError) else FAILURE
    return DONE


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), LogFormat(sys.argv[2]), FileLock.inherited(int(sys.argv[3])))
    end_quickly()
    sys.exit(code)
