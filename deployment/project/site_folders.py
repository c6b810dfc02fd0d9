"""A site of a deployment. It pins the keys in the project's covey.toml, and answers plans until it is stopped.

It is a client of Flower's SuperLink, not a SuperNode: it reads all messages of the SuperLink as data, and never starts an app.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from flwr.app import RecordDict

from base.atomic_files import create_file, replace_file
from base.fields import Fields, about
from base.metrics import ANSWER_SECONDS, ANSWERS, Meters, Role
from base.private_files import private_folder
from base.times import wall_clock
from base.tls.hosts import is_loopback, split_address
from base.tls.roles import TlsRole
from base.tls.trust import TrustFile
from deployment.errors import UsageError
from deployment.monitor.monitor import monitored
from deployment.monitor.site import SiteState
from edge_client.fleet_client import FleetClient, SuperLink
from edge_client.open_ledgers import KeptOpen
from edge_client.plan_messages import PlanAnswer, answer_message
from edge_client.policy import Policy
from edge_client.policy_file import policy_to_toml
from edge_client.serving import SiteService
from edge_client.site_config import SiteConfig, config_to_toml, load_config
from edge_client.sources.files.cache import EventCache
from edge_client.sources.files.reading import read_schema
from federation.errors import UnknownSite
from federation.key_rotation import erase_ended
from federation.keys import roles_in, site_role
from federation.ledger.operator import LEDGERS

from .fleet import SITES
from .folders import KEYS
from .init import POLICY
from .network import Network
from .project import FILE, Project

_log = logging.getLogger(__name__)


def configure_site(
    project: Path, site: str, events: Path, client_column: str, time_column: str, *, allow_noise_off: bool
) -> Path:
    """Write `sites/<site>.toml`, and `policy.toml` if it does not exist. The policy pins the project's keys from now on.

    Args:
        allow_noise_off: the setting of a new policy; an existing policy is not changed.

    Raises:
        UsageError: the site is not on the project's roster.
    """
    parties = Project.load(project)
    try:
        clients = parties.roster[site].max_clients
    except UnknownSite as error:
        raise UsageError(f"{project / FILE}: {error}") from None
    policy = project / POLICY
    if not policy.exists():
        mine = Policy(
            parties.coordinator,
            parties.leader,
            parties.helper,
            max_micro_rho=parties.budget.micro_rho,
            allow_noise_off=allow_noise_off,
            former=parties.former,
        )
        create_file(policy, policy_to_toml(mine), private=False)
    private_folder(project / LEDGERS)
    folder = private_folder(project / SITES)
    path = folder / f"{site}.toml"
    text = config_to_toml(
        {
            "site": site,
            "clients": clients,
            "events": str(events.absolute()),
            "client_column": client_column,
            "time_column": time_column,
            "keys": f"../{KEYS}",
            "ledger": f"../{LEDGERS}/{site_role(site)}.db",
            "policy": f"../{POLICY}",
        }
    )
    replace_file(path, text, private=True)
    load_config(path)
    return path


def serve_site(project: Path, site: str, given: str | None, *, insecure: bool, monitor: str | None = None) -> None:
    """Answer the plans that arrive from a SuperLink, until SIGTERM or Ctrl-C.

    Args:
        given: `host:port` of the SuperLink; None: that of covey.toml, or the default port of the loopback.
        insecure: connect without TLS; on the loopback only.
        monitor: the address of its monitor; None: it has none.

    Raises:
        ConfigInvalid, KeyFileError: the site's own files are invalid. EventsError: a file of events cannot be read, or
            lacks the column of clients or times. UsageError: covey.toml names another key. CertificateMissing: no file of
            trusted authorities, and not `insecure`. CertificateMalformed.
        SuperLinkUntrusted, NodeKeyUnknown.
    """
    path = project / SITES / f"{site}.toml"
    config = load_config(path)
    _require_usable(project, config)
    if site_role(site) in roles_in(project / KEYS):
        erase_ended(project / KEYS, site_role(site), wall_clock())
    node = config.node
    parties = Project.find(project)
    address = (Network() if parties is None else parties.network).address("superlink", given)
    superlink = _superlink(project / KEYS, address, insecure=insecure)

    meters, cache, ledgers = Meters(), EventCache(time.time_ns), KeptOpen()

    def answer(content: RecordDict | None) -> PlanAnswer:
        with meters.timed(ANSWER_SECONDS):
            found = answer_message(content, lambda: replace(load_config(path), cache=cache), name=site, ledgers=ledgers)
        meters.add(ANSWERS, found.code)
        return found

    with about(Fields(site=config.settings.site)), FleetClient(superlink, node) as client, closing(ledgers):
        service = SiteService(client, answer, time.sleep, time.monotonic)
        with monitored(monitor, Role.SITE, project, SiteState(service, address, meters)), suppress(KeyboardInterrupt):
            service.run()
        _log.info("stopped")


def _require_usable(project: Path, config: SiteConfig) -> None:
    """Raise EventsError or UsageError if this site could answer no plan. No value of its events is read."""
    read_schema(config.events, (), config.client_column, config.time_column)
    settings, parties = config.settings, Project.find(project)
    entries = [] if parties is None else [one for one in parties.roster.entries if one.site == settings.site]
    for entry in entries:
        if not {entry.key, *(one.key for one in entry.former)} & set(settings.keys.pinned.all):
            raise UsageError(
                f"{project / FILE} names another key for site {settings.site}: the aggregators would refuse its reports. Give the "
                f"coordinator site-{settings.site}.pub of the key in {project / KEYS}"
            )


def _superlink(keys: Path, address: str, *, insecure: bool) -> SuperLink:
    """The connection to a SuperLink, with the authorities that may issue its certificate, unless the site is `insecure`."""
    trust = TrustFile(keys, TlsRole.SUPERLINK)
    if not insecure:
        trust.load()
        return SuperLink(address, trust)
    if not is_loopback(split_address(address)[0]):
        raise UsageError(
            "a site may connect without TLS only to a SuperLink on this machine, because others on the network could read "
            f"and change messages, but {address} is not a loopback address. The authority that {trust.path} names authenticates "
            "it elsewhere"
        )
    return SuperLink(address, None)
