"""One role as a process of its own: `python -m tests.aggregator.serve_role ROLE FOLDER PORT [HELPER_ADDRESS]`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from aggregator.services.peer_channels import HelperChannel
from aggregator.services.services import serve
from federation.ledger.state import Budget
from tests.aggregator.world import SETTINGS, make_helper, make_leader, roster


def main(role: str, folder: str, port: str, helper: str = "") -> None:
    settings = replace(SETTINGS, roster=roster(100_000), budget=Budget(10**9))
    if role == "helper":
        service = serve(make_helper(Path(folder), settings), "127.0.0.1", int(port))
    else:
        service = serve(make_leader(Path(folder), HelperChannel(helper), settings), "127.0.0.1", int(port))
    print(service.address, flush=True)  # noqa: T201
    service.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
