"""Simulated sites of `benchmarks.freshness`: the product's site service for each, as threads of one process.

python -m benchmarks.freshness_sites PROJECT SUPERLINK SITE…
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path

from base.tls.roles import TlsRole
from base.tls.trust import TrustFile
from deployment.project.fleet import SITES
from deployment.project.folders import KEYS
from edge_client.fleet_client import FleetClient, SuperLink
from edge_client.open_ledgers import KeptOpen
from edge_client.plan_messages import answer_message
from edge_client.serving import SiteService
from edge_client.site_config import load_config
from edge_client.sources.open import KeptSource


def serve(project: Path, address: str, site: str) -> None:
    """Answer plans as `covey start site` does, until the process ends."""
    path = project / SITES / f"{site}.toml"
    sources, ledgers = KeptSource(), KeptOpen()
    superlink = SuperLink(address, TrustFile(project / KEYS, TlsRole.SUPERLINK))
    with FleetClient(superlink, load_config(path).node) as client:
        SiteService(
            client,
            lambda content: answer_message(
                content, lambda: load_config(path), name=site, ledgers=ledgers, sources=sources
            ),
            time.sleep,
            time.monotonic,
        ).run()


def main() -> None:
    """Serve each site in a thread, until SIGTERM."""
    project, address, *sites = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    threads = [threading.Thread(target=serve, args=(Path(project), address, site), daemon=True) for site in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
