"""A site of a deployment. It pins the keys in the project's covey.toml, and answers plans until it is stopped.

It is a client of Flower's SuperLink, not a SuperNode: it reads all messages of the SuperLink as data, and never starts an app.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from flwr.app import RecordDict

from base.atomic_files import create_file, replace_file
from base.config import checked
from base.errors import ConfigInvalid
from base.fields import Fields, about
from base.metrics import ANSWER_SECONDS, ANSWERS, Meters, Role
from base.private_files import private_folder
from base.times import wall_clock
from base.tls.hosts import is_loopback, split_address
from base.tls.roles import TlsRole
from base.tls.trust import TrustFile
from base.toml import toml_entries
from deployment.errors import UsageError
from deployment.monitor.monitor import monitored
from deployment.monitor.site import LateCounts, SiteState
from edge_client.errors import EdgeError, SourceAway
from edge_client.fleet_client import FleetClient, SuperLink
from edge_client.open_ledgers import KeptOpen
from edge_client.plan_messages import OK, PlanAnswer, answer_message
from edge_client.policy import Policy
from edge_client.policy_file import policy_to_toml
from edge_client.serving import SiteService
from edge_client.site_config import SiteConfig, config_to_toml, load_config, source_in
from edge_client.sources.entries import SourceEntries
from edge_client.sources.open import EACH_TIME, KeptSource
from edge_client.sources.parsing import absolute_url, source_of
from edge_client.sources.source import LogSource
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
    project: Path,
    site: str,
    source: str,
    client_column: str,
    time_column: str,
    *,
    allow_noise_off: bool,
    must_be_there: bool = False,
) -> Path:
    """Write `sites/<site>.toml`, and `policy.toml` if it does not exist. The policy pins the project's keys from now on.

    A file that names this source already keeps its other entries.

    Args:
        source: a URL, or a path of files; relative to the working directory.
        allow_noise_off: the setting of a new policy; an existing policy is not changed.
        must_be_there: a source that the site's file does not name yet must be readable, so that a mistyped one is not taken for
            one that is away. An event log may be made later, by its program.

    Raises:
        UsageError: the site is not on the project's roster, or its file has entries of another source. ConfigInvalid: the
            source needs more entries than these three. EventsError, SourceAway: see `must_be_there`.
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
    try:
        entries = {"url": absolute_url(source, Path()), "client": client_column, "time": time_column}
    except ValueError as error:
        raise UsageError(f"the source {source!r}: {error}", settings=("source",)) from None
    chosen = source_of(checked(SourceEntries, entries, path, "source"), path)  # before a file that is valid is replaced
    if must_be_there and not isinstance(chosen, LogSource) and chosen.url != _url_in(path):
        with EACH_TIME.of(chosen, site) as opened:
            opened.schema(())
    if _has_more(path, entries, clients):
        load_config(path)
        return path
    text = config_to_toml(
        {
            "site": site,
            "clients": clients,
            "keys": f"../{KEYS}",
            "ledger": f"../{LEDGERS}/{site_role(site)}.db",
            "policy": f"../{POLICY}",
        },
        entries,
    )
    replace_file(path, text, private=True)
    load_config(path)
    return path


def _url_in(path: Path) -> str | None:
    """The URL of the source that a site's file names; None: there is no such file, or it has none that can be used."""
    try:
        return source_in(path).url
    except (ConfigInvalid, EdgeError):
        return None


def _has_more(path: Path, entries: Mapping[str, str], clients: int) -> bool:
    """Whether a site's file has these entries of its source, and others, so that it is not written again.

    Raises:
        UsageError: it has other entries of another source, or another number of clients.
    """
    try:
        found = toml_entries(path)
    except FileNotFoundError:
        return False
    source = found.get("source")
    if not isinstance(source, dict) or not source.keys() - entries.keys():
        return False
    wrong = [f"{name} = {source.get(name)!r}" for name, value in entries.items() if source.get(name) != value]
    if found.get("clients") != clients:
        wrong.append(f"clients = {found.get('clients')}, and the roster has {clients}")
    if wrong:
        raise UsageError(
            f"{path} has entries that this command does not write ({', '.join(sorted(source.keys() - entries.keys()))}), and "
            f"{wrong[0]}. Edit it, or delete it first"
        )
    return True


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
    with about(Fields(site=site)), closing(KeptSource()) as sources, closing(KeptOpen()) as ledgers:
        _require_usable(project, config, sources)  # the source stays open: a stream is read from now on
        if site_role(site) in roles_in(project / KEYS):
            erase_ended(project / KEYS, site_role(site), wall_clock())
        parties = Project.find(project)
        address = (Network() if parties is None else parties.network).address("superlink", given)
        superlink = _superlink(project / KEYS, address, insecure=insecure)
        meters, late = Meters(), LateCounts(ledgers, config.settings)
        if monitor is not None:
            late.count()

        def answer(content: RecordDict | None) -> PlanAnswer:
            with meters.timed(ANSWER_SECONDS):
                found = answer_message(content, lambda: load_config(path), name=site, ledgers=ledgers, sources=sources)
            meters.add(ANSWERS, found.code)
            if monitor is not None and found.code == OK:
                late.count()
            return found

        with FleetClient(superlink, config.node) as client:
            service = SiteService(client, answer, time.sleep, time.monotonic)
            state = SiteState(service, address, meters, sources.status, late.by_view)
            with monitored(monitor, Role.SITE, project, state), suppress(KeyboardInterrupt):
                service.run()
            _log.info("stopped")


def _require_usable(project: Path, config: SiteConfig, sources: KeptSource) -> None:
    """Raise EventsError or UsageError if this site could answer no plan. No value of its events is read."""
    try:
        with sources.of(config.source, config.settings.site) as source:
            source.schema(())
    except SourceAway as error:  # it may come back while the site runs
        _log.warning("%s. Until it can be read, the site answers every plan with SOURCE_AWAY", error)
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
