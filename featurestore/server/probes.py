"""The probes of the feature server: `/healthz` answers while the process works, `/readyz` while its newest releases are served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from base.metrics import Role
from base.probes import Probe
from featurestore.online.blocks import Blocks

HEALTHZ: Final = "/healthz"
READYZ: Final = "/readyz"


def add_probes(app: FastAPI, blocks: Blocks, waits_for: Callable[[], str | None]) -> None:
    """Add the two routes.

    Args:
        waits_for: what else the server waits for; None: nothing.
    """

    @app.get(HEALTHZ, summary="Whether the process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(READYZ, summary="Whether the newest releases are served")
    async def readyz() -> JSONResponse:
        problem = blocks.problem
        probe = Probe(Role.SERVER, waits_for() if problem is None else f"a readable snapshot: {problem}")
        return JSONResponse(probe.to_json(), probe.status)
