"""The demo's read: it starts a real feature server over the demo's store, and sends it a request in Feast's format."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any, Final

from base.ports import free_port
from deployment.local.processes import Processes

START_SECONDS: Final = 30.0
REQUEST: Final[dict[str, Any]] = {"features": ["carrier_delay:late_28d"], "entities": {"carrier": ["UA", "DL", "B6"]}}


def read_over_http(store: Path, logs: Path) -> str:
    """Start `covey serve`, send one request, stop it; returns one line with the request and the answer."""
    port = free_port()
    with Processes(logs) as processes:
        command = [sys.executable, "-P", "-m", "covey", "serve", "--store", str(store), "--port", str(port)]
        processes.start("server", command)
        processes.wait_for_port("server", port, START_SECONDS)
        url = f"http://127.0.0.1:{port}/get-online-features"
        request = urllib.request.Request(url, json.dumps(REQUEST).encode())
        with urllib.request.urlopen(request, timeout=START_SECONDS) as reply:  # noqa: S310
            answer: dict[str, Any] = json.load(reply)
    names = answer["metadata"]["feature_names"]
    columns = {name: result["values"] for name, result in zip(names, answer["results"], strict=True)}
    values = ", ".join(
        f"{carrier} {rate:.3f}"
        for carrier, rate in zip(columns["carrier"], columns["late_28d"], strict=True)
        if rate is not None
    )
    return f"the feature server answers {REQUEST['features'][0]} over HTTP: {values}"
