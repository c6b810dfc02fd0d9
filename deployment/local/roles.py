"""The aggregators of a project as services, with keys, settings, storage and ledger from its directory (DESIGN §9, layout).

Also the provider of triples, which has none of these.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

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
from base.metrics import Role
from base.private_files import private_folder
from base.tls.hosts import is_loopback, split_address
from base.tls.links import Links, links_of
from base.tls.roles import TlsRole
from deployment.errors import UsageError
from deployment.monitor.aggregators import AggregatorState
from deployment.monitor.monitor import monitored
from deployment.monitor.peers import PeerWatch
from deployment.monitor.watched import Counted, ServiceState
from deployment.project.folders import KEYS
from deployment.project.known_releases import require_known_releases, signed_by
from deployment.project.network import Listening
from deployment.project.project import FILE, Project
from federation.former_keys import PinnedKey
from federation.key_rotation import erase_ended
from federation.keys import RoleKeys
from federation.ledger.operator import LEDGERS, open_operator_ledger
from federation.parties import Aggregator
from federation.terms import Validity

from .role_lock import alone

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PeerAddresses:
    """The addresses of the leader's peers, as its operator gives them. None: that of covey.toml.

    Attributes:
        helper: where covey.toml names none either, the default port of the loopback.
        key_holder: where covey.toml names none either, the leader refuses plans with encrypted reports.
        provider: where covey.toml names none either, the leader refuses plans with the finish mpc.
    """

    helper: str | None = None
    key_holder: str | None = None
    provider: str | None = None


def serve_leader(directory: Path, listening: Listening, peers: PeerAddresses, ledgers: Path | None = None) -> None:
    """Run the leader until SIGTERM or SIGINT.

    Args:
        ledgers: the folder of the operator's ledger. Default: the project's.

    Raises:
        UsageError: another leader of this project runs, or the key in keys/ is not the leader's of covey.toml.
        LedgerBroken: the ledger was edited, truncated or rolled back; the message names the mend. LedgersApart.
    """
    project = Project.load(directory)
    keys, settings = _own_keys(directory, "leader", project), _settings(project, "helper")
    _require_one_machine(project, peers)
    links = links_of(directory / KEYS, TlsRole.LEADER)
    helper = project.network.address("helper", peers.helper)
    link = HelperChannel(helper, links)
    key_holder = project.network.optional("keyholder", peers.key_holder)
    provider = project.network.optional("provider", peers.provider)
    holder = None if key_holder is None else KeyHolderChannel(key_holder, links)
    third = None if provider is None else ProviderChannel(provider, links)
    try:
        with alone(directory, "leader"):
            files = _files(directory, ledgers, "leader")
            leader = Leader(keys, settings, files, _wall_clock, Peers(link, holder, third))
            called = {TlsRole.HELPER: helper, TlsRole.KEYHOLDER: key_holder, TlsRole.PROVIDER: provider}
            watched = [PeerWatch(role, address, links) for role, address in called.items() if address is not None]
            state = AggregatorState(leader, watched)
            with monitored(listening.monitor, Role.LEADER, directory, state):
                _run(_ready(leader, directory), listening.at(project.network, "leader"), links, state)
    finally:
        for one in (link, holder, third):
            if one is not None:
                one.close()


def _require_one_machine(project: Project, peers: PeerAddresses) -> None:
    """The processes of the finish mpc exchange shares over the loopback, without TLS. Raises UsageError: a peer is elsewhere."""
    if (provider := project.network.optional("provider", peers.provider)) is None:
        return
    for role, address in (("provider", provider), ("helper", project.network.address("helper", peers.helper))):
        if not is_loopback(split_address(address)[0]):
            raise UsageError(
                f"the {role} at {address} is not on this machine, and the finish mpc runs over the loopback of one machine: its "
                "processes have no TLS. Give loopback addresses, or no provider; plans with the finish mpc are then refused",
                settings=(role,),
            )


def serve_helper(directory: Path, listening: Listening, ledgers: Path | None = None) -> None:
    """Run the helper until SIGTERM or SIGINT. See `serve_leader`."""
    project = Project.load(directory)
    keys, settings = _own_keys(directory, "helper", project), _settings(project, "leader")
    links = links_of(directory / KEYS, TlsRole.HELPER)
    with alone(directory, "helper"):
        helper = Helper(keys, settings, _files(directory, ledgers, "helper"), _wall_clock)
        state = AggregatorState(helper)
        with monitored(listening.monitor, Role.HELPER, directory, state):
            _run(_ready(helper, directory), listening.at(project.network, "helper"), links, state)


def serve_key_holder(directory: Path, listening: Listening, ledgers: Path | None = None) -> None:
    """Run the key holder, with the helper's keys, until SIGTERM or SIGINT. See `serve_leader`."""
    project = Project.load(directory)
    keys, settings = _own_keys(directory, "helper", project), _settings(project, "leader")
    links = links_of(directory / KEYS, TlsRole.KEYHOLDER)
    with alone(directory, "keyholder"):
        files = _files(directory, ledgers, "keyholder")
        holder = KeyHolder(keys, settings, files, _wall_clock)
        state = AggregatorState(holder)
        with monitored(listening.monitor, Role.KEY_HOLDER, directory, state):
            _run(_ready(holder, directory), listening.at(project.network, "keyholder"), links, state)


def serve_provider(directory: Path, listening: Listening) -> None:
    """Run the provider of triples until SIGTERM or SIGINT. It needs only the leader's pinned key, and reads it for each session."""
    project = Project.load(directory)
    provider = Provider(lambda: Project.load(directory).pinned("leader"), _wall_clock)
    links, state = links_of(directory / KEYS, TlsRole.PROVIDER), Counted(provider.meters)
    with monitored(listening.monitor, Role.PROVIDER, directory, state):
        _run(provider, listening.at(project.network, "provider"), links, state)


def _run(party: Leader | Helper | KeyHolder | Provider, at: tuple[str, int], links: Links, state: ServiceState) -> None:
    service = serve(party, *at, links)
    state.listening = True
    _log.info("listens on %s", service.address)
    service.run()


def _ready(party: Leader | Helper | KeyHolder, directory: Path) -> Leader | Helper | KeyHolder:
    """The same party, which reads its settings again before each plan.

    Its ledger knows every plan that its storage has closed, and that the store here has releases of. Raises LedgerBehind:
    entries were lost.
    """
    try:
        ledger, identity = party.files.ledger, party.identity
        identity.source = partial(read_settings, directory, identity.role, identity.keys.pinned)
        party.plans.charges.require_complete()
        mine = signed_by(identity.role, Project.load(directory).pinned(identity.role))
        require_known_releases(directory, ledger.path, lambda: ledger.state, mine)
    except BaseException:
        party.close()
        raise
    return party


def _own_keys(directory: Path, role: Aggregator, project: Project) -> RoleKeys:
    """The keys of a role, without former ones that no plan can need. Raises UsageError: covey.toml names another key for it."""
    keys = erase_ended(directory / KEYS, role, _wall_clock())
    _require_named(directory, keys.pinned, project)
    return keys


def _require_named(directory: Path, own: PinnedKey, project: Project) -> None:
    named = project.pinned("leader" if own.role == "leader" else "helper")
    if not set(named.all) & set(own.all):  # one of the two may lag behind a rotation, until its change-over
        raise UsageError(
            f"{directory / FILE} names the {own.role}'s key {named.current.id.hex()}, but {directory / KEYS} has "
            f"{own.current.id.hex()}. Put the right key there; or all operators take {directory / KEYS / own.role}.pub with "
            "`covey keys accept`"
        )


def _settings(project: Project, peer: Aggregator) -> Settings:
    return Settings(
        project.coordinator,
        project.roster,
        project.budget,
        project.allow_noise_off,
        project.validity is Validity.PRIO3,
        getattr(project, peer),
        project.former,
    )


def read_settings(directory: Path, role: Aggregator, own: PinnedKey) -> Settings:
    """The settings as covey.toml has them now. Raises ConfigInvalid, ProjectMissing; UsageError: it names another key."""
    project = Project.load(directory)
    _require_named(directory, own, project)
    return _settings(project, "helper" if role == "leader" else "leader")


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
