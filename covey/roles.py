"""The aggregators of a project as services: keys, settings and storage from its directory (DESIGN §9, layout)."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from aggregator.client import HelperLink
from aggregator.helper import Helper
from aggregator.leader import Leader
from aggregator.opendp_noise import OpenDPNoise
from aggregator.party import Settings
from aggregator.services import serve
from aggregator.storage import Storage
from federation.keys import load_keys
from federation.parties import Aggregator, PublicKeys

from .project import KEYS, Project


def serve_leader(directory: Path, port: int, helper: str) -> None:
    """Run the leader until SIGTERM or SIGINT."""
    project = Project.load(directory)
    link = HelperLink(helper)
    party = Leader(
        load_keys(directory / KEYS, "leader"),
        _settings(project, project.helper),
        _storage(directory, "leader"),
        _wall_clock,
        OpenDPNoise(),
        link,
    )
    try:
        _run(party, port)
    finally:
        link.close()


def serve_helper(directory: Path, port: int) -> None:
    """Run the helper until SIGTERM or SIGINT."""
    project = Project.load(directory)
    keys = load_keys(directory / KEYS, "helper")
    party = Helper(keys, _settings(project, project.leader), _storage(directory, "helper"), _wall_clock, OpenDPNoise())
    _run(party, port)


def _run(party: Leader | Helper, port: int) -> None:
    service = serve(party, "127.0.0.1", port)
    Console(stderr=True, highlight=False).print(f"{party.role} listens on {service.address}")
    service.run()


def _settings(project: Project, peer: PublicKeys) -> Settings:
    return Settings(project.coordinator, project.roster, project.budget_micro_rho, project.allow_noise_off, peer)


def _storage(directory: Path, role: Aggregator) -> Storage:
    folder = directory / "roles" / role
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return Storage(folder / "state.db", role)


def _wall_clock() -> int:
    return time.time_ns() // 1_000
