"""The aggregators of a project as services, with keys, settings, storage and ledger from its directory (DESIGN §9, layout).

Also the provider of triples, which has none of these.
"""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from aggregator.he.key_holder import KeyHolder
from aggregator.identity import Settings
from aggregator.mpc.provider import Provider
from aggregator.services.peer_channels import HelperChannel, KeyHolderChannel, ProviderChannel
from aggregator.services.services import serve
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from aggregator.shares.peers import Peers
from aggregator.storage.files import Files
from aggregator.storage.live_folder import LiveFolder
from aggregator.storage.role_file import StoringRole
from aggregator.storage.role_storage import Storage
from base.private_files import private_folder
from crypto.signing import VerifyKey
from deployment.project.project import KEYS, Project
from federation.keys import load_keys
from federation.ledger.operator import LEDGERS, open_operator_ledger
from federation.terms import Validity


def serve_leader(
    directory: Path,
    port: int,
    helper: str,
    key_holder: str | None = None,
    provider: str | None = None,
    ledgers: Path | None = None,
) -> None:
    """Run the leader until SIGTERM or SIGINT.

    Args:
        key_holder: its address; None: the leader refuses plans with encrypted reports.
        provider: its address; None: the leader refuses plans with the finish mpc.
        ledgers: the folder of the operator's ledger. Default: the project's.

    Raises:
        LedgerBroken: the ledger was edited, truncated or rolled back; the message names the mend. LedgersApart.
    """
    project = Project.load(directory)
    keys, settings = load_keys(directory / KEYS, "leader"), _settings(project, project.helper)
    link, holder = HelperChannel(helper), None if key_holder is None else KeyHolderChannel(key_holder)
    third = None if provider is None else ProviderChannel(provider)
    try:
        files = _files(directory, ledgers, "leader")
        _run(Leader(keys, settings, files, _wall_clock, Peers(link, holder, third)), port, "leader")
    finally:
        for one in (link, holder, third):
            if one is not None:
                one.close()


def serve_helper(directory: Path, port: int, ledgers: Path | None = None) -> None:
    """Run the helper until SIGTERM or SIGINT. See `serve_leader`."""
    project = Project.load(directory)
    keys, settings = load_keys(directory / KEYS, "helper"), _settings(project, project.leader)
    _run(Helper(keys, settings, _files(directory, ledgers, "helper"), _wall_clock), port, "helper")


def serve_key_holder(directory: Path, port: int, ledgers: Path | None = None) -> None:
    """Run the key holder, with the helper's keys, until SIGTERM or SIGINT. See `serve_leader`."""
    project = Project.load(directory)
    keys, settings = load_keys(directory / KEYS, "helper"), _settings(project, project.leader)
    files = _files(directory, ledgers, "keyholder")
    _run(KeyHolder(keys, settings, files, _wall_clock), port, "keyholder")


def serve_provider(directory: Path, port: int) -> None:
    """Run the provider of triples until SIGTERM or SIGINT. It needs only the leader's pinned key."""
    _run(Provider(Project.load(directory).leader), port, "provider")


def _run(party: Leader | Helper | KeyHolder | Provider, port: int, name: str) -> None:
    service = serve(party, "127.0.0.1", port)
    Console(stderr=True, highlight=False).print(f"{name} listens on {service.address}")
    service.run()


def _settings(project: Project, peer: VerifyKey) -> Settings:
    return Settings(
        project.coordinator,
        project.roster,
        project.budget,
        project.allow_noise_off,
        project.validity is Validity.PRIO3,
        peer,
    )


def _files(directory: Path, ledgers: Path | None, role: StoringRole) -> Files:
    folder = private_folder(directory / "roles" / role)
    storage = Storage(folder / "state.db", role)
    try:
        ledger = open_operator_ledger(ledgers or directory / LEDGERS, role, _wall_clock)
        return Files(storage, ledger, LiveFolder(folder / "live"))
    except BaseException:
        storage.close()
        raise


def _wall_clock() -> int:
    return time.time_ns() // 1_000
