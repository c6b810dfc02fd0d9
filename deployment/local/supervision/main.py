"""The supervisor of a deployment, as `covey up` starts it: `python -m deployment.local.supervision.main PROJECT`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from base.errors import DONE, CoveyError

from .supervise import line, supervise


def main(project: Path) -> int:
    """Supervise until SIGTERM; returns the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        supervise(project, line)
    except (CoveyError, OSError) as error:
        line(str(error))
        return error.exit_code if isinstance(error, CoveyError) else 1
    return DONE


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
