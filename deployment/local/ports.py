"""Finds the process of this machine that listens on a port."""

from __future__ import annotations

from contextlib import suppress

import psutil


def holder_of(port: int) -> psutil.Process | None:
    """The process that listens on a port; None: there is none, or it belongs to another user and cannot be seen."""
    with suppress(psutil.Error, OSError):
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid:
                return psutil.Process(one.pid)
    return None
