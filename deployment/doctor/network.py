"""Checks of the network: whether each peer answers, proves its role, and has a clock and a version that fit."""

from __future__ import annotations

import os
import re
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import numpy as np

from aggregator.services.client import Aggregators
from base.errors import (
    CertificateExpired,
    CertificateMalformed,
    CertificateMissing,
    CertificateNotYetValid,
    CertificateOfAnotherHost,
    CertificateOfAnotherRole,
    CertificateRefused,
    CertificateUntrusted,
    CoveyError,
    PeerAway,
    PeerError,
    PeerSpeaksClearText,
    PeerSpeaksTls,
    TlsError,
    TlsVersionRefused,
)
from base.ports import reason_of, why_closed
from base.times import DAY_US, SECOND_US, from_us, to_us, wall_clock
from base.tls.certificate import Certificate
from base.tls.contexts import client_context
from base.tls.explain import Handshake
from base.tls.files import trust_path
from base.tls.hosts import is_loopback, split_address
from base.tls.links import Tls, links_of
from base.tls.reach import REACH_S, require_peer
from base.tls.roles import TlsRole
from base.tls.trust import Trust
from base.version import PROTOCOL, VERSION
from deployment.coordinator.preflight import MAX_SKEW_US
from deployment.errors import UsageError
from deployment.project.network import DEFAULTS, Network
from deployment.project.project import Project
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from federation.draft import sign_draft
from federation.keys import SITE_PREFIX, load_keys
from federation.plan import AGGREGATORS, PLAN_ID_BYTES, PlannedView, new_plan
from federation.terms import RequestedTerms

from .finding import Finding, Place, not_applicable, ok, problem, problem_of, warning

_SPEAKS: Final[Mapping[str, tuple[str, ...]]] = {
    "coordinator": ("leader", "helper", "keyholder"),
    "leader": ("helper", "keyholder", "provider"),
}
"""The peers to which a role opens connections. Sites connect to the SuperLink."""
MAX_HEAD: Final = 8_192
_DATE: Final = re.compile(rb"^date:[ \t]*([\x20-\x7e]{1,64})\r$", re.IGNORECASE | re.MULTILINE)
_OPTIONAL: Final = ("keyholder", "provider")


def addresses_of(options: Iterable[str]) -> dict[str, str]:
    """The addresses in texts `ROLE=HOST:PORT`. Raises UsageError."""
    found = {}
    for option in options:
        role, equals, address = option.partition("=")
        if not equals or role not in DEFAULTS:
            raise UsageError(f"{option[:120]!r}: write ROLE=HOST:PORT, with one of the roles {', '.join(DEFAULTS)}")
        found[role] = Network().address(role, address)
    return found


def place_addresses(project: Project | None, given: Mapping[str, str]) -> dict[str, str]:
    """The address of each role: a given one, that of covey.toml, or the default one."""
    network = Network() if project is None else project.network
    return {role: network.address(role, given.get(role)) for role in DEFAULTS}


def check_peers(place: Place) -> Iterator[Finding]:
    """Whether each peer of the roles here accepts connections, answers, and proves its role."""
    pairs = [(own, peer) for own, peer in _pairs(place) if peer not in _OPTIONAL or _is_named(place, peer)]
    for own, peer in pairs:
        yield _peer(place, TlsRole(own), TlsRole(peer), place.addresses[peer])
    sites = [role for role in place.roles if role.startswith(SITE_PREFIX)]
    if sites:
        yield _superlink(place, place.addresses["superlink"])
    if not pairs and not sites:
        yield not_applicable("no role that connects to others has its keys here")


def check_clocks(place: Place) -> Iterator[Finding]:
    """Whether the clocks and versions of leader and helper fit. The coordinator asks them; nothing is charged."""
    if "coordinator" not in place.roles or place.project is None:
        yield not_applicable("the coordinator's key is not here; its operator compares the clocks of leader and helper")
        return
    draft = _draft(place, place.project)
    for role in AGGREGATORS:
        links, address = links_of(place.keys, TlsRole.COORDINATOR), place.addresses[role]
        try:
            require_peer(links, TlsRole(role), address, from_us(place.now_us))
        except (PeerError, TlsError):
            yield not_applicable(f"the {role} at {address} does not answer; `peers` says why")
            continue
        before = wall_clock()
        try:
            both = place.addresses["leader"], place.addresses["helper"]
            with Aggregators(*both, links, patience_s=0.0) as aggregators:
                found = aggregators.check(role, draft)
        except CoveyError as error:
            yield problem_of(error, f"compare covey.toml of both operators, and the log of the {role}")
            continue
        half = (wall_clock() - before) // 2
        yield _compared(role, found.now_us - (before + half), half)
        if (found.version, found.protocol) != (VERSION, PROTOCOL):
            what = f"the {role} has Covey {found.version} (protocol {found.protocol}), and this is {VERSION} (protocol {PROTOCOL})"
            mend = "install the same version at both operators; see docs/backup.md#upgrade"
            yield problem(what, mend) if found.protocol != PROTOCOL else warning(what, mend)
        else:
            yield ok(f"the {role} has Covey {found.version} (protocol {found.protocol})")


def _pairs(place: Place) -> Iterator[tuple[str, str]]:
    for own, peers in _SPEAKS.items():
        if own in place.roles:
            yield from ((own, peer) for peer in peers)


def _is_named(place: Place, role: str) -> bool:
    return place.addresses[role] != DEFAULTS[role] or (
        place.project is not None and role in place.project.network.named
    )


def _peer(place: Place, own: TlsRole, peer: TlsRole, address: str) -> Finding:
    links = links_of(place.keys, own)
    correct = f"or correct [network] {peer} in covey.toml"
    try:
        require_peer(links, peer, address, from_us(place.now_us))
    except TlsError as error:
        return problem_of(error, _mend(error, place, own, peer))
    except PeerAway as error:
        return problem(f"for the {own}, {error}", f"its operator starts it: covey start {peer}; {correct}")
    except PeerError as error:
        return problem_of(
            error, f"look at the log of the {peer}; another program may hold the port: ss -ltnp there, {correct}"
        )
    how = {True: "proved its role by TLS", False: "answers in clear text, on this machine"}[isinstance(links, Tls)]
    return ok(f"the {peer} at {address} {how}")


def _mend(error: TlsError, place: Place, own: TlsRole, peer: TlsRole) -> str:
    """The mend of a link that TLS refuses, at the operator whose file is wrong."""
    here = f"--project {place.directory}"
    trust = f"compare the authority with the {peer}'s operator, then: covey keys trust {peer} ROLE.pub {here}"
    match error:
        case CertificateMissing(path=file) | CertificateMalformed(what=file) if file == str(
            trust_path(place.keys, peer)
        ):
            return trust
        case CertificateUntrusted():
            return trust
        case CertificateRefused():
            return f"the {peer}'s operator trusts the authority of this one: covey keys trust {own} ROLE.pub"
        case TlsVersionRefused():
            return f"the {peer}'s operator installs a newer version"
        case PeerSpeaksTls():
            return f"covey keys tls --role {own} {here}"
        case PeerSpeaksClearText():
            return f"the {peer}'s operator makes a certificate: covey keys tls --role {peer}"
        case CertificateExpired(what=what) if not what.startswith(str(place.keys)):
            return f"the {peer}'s operator renews it: covey keys tls --role {peer} --renew"
        case CertificateNotYetValid(what=what) if not what.startswith(str(place.keys)):
            return "compare the clocks of both machines: date -u"
        case CertificateOfAnotherRole(what=what) if not what.startswith(str(place.keys)):
            return f"correct [network] {peer} in covey.toml, or its operator makes one: covey keys tls --role {peer}"
        case _:
            return "the check `certificates` has the mend: the file is one of this project"


def _superlink(place: Place, address: str) -> Finding:
    """The SuperLink, as a site reaches it. Its answers have its clock, in seconds."""
    what = f"the SuperLink at {address}"
    if (why := why_closed(*split_address(address), REACH_S)) is not None:
        mend = (
            "the coordinator's operator starts it: covey start superlink; or correct [network] superlink in covey.toml"
        )
        return problem(f"a site cannot connect to {what}: {why}", mend)
    try:
        date = _date_of(what, Trust.load(place.keys, TlsRole.SUPERLINK), *split_address(address))
    except (CertificateExpired, CertificateNotYetValid, CertificateOfAnotherHost, CertificateOfAnotherRole) as error:
        host, _ = split_address(address)
        renew = "covey keys tls --role superlink --renew" + ("" if is_loopback(host) else f" --name {host}")
        return problem_of(error, f"the coordinator's operator makes a new one: {renew}")
    except CoveyError as error:
        take = f"covey keys trust superlink coordinator.pub --project {place.directory}"
        return problem_of(error, f"take the coordinator's authority: {take}")
    except OSError as error:
        why = reason_of(error, REACH_S)
        return problem(f"{what} accepts connections, and does not answer: {why}", "look at its log")
    with suppress(ValueError, TypeError):
        skew = to_us(parsedate_to_datetime(date).astimezone(UTC)) - to_us(datetime.now(UTC))
        if abs(skew) > MAX_SKEW_US + SECOND_US:
            return _compared("SuperLink", skew, SECOND_US)
    return ok(f"{what} proved its role by TLS")


def _date_of(what: str, trust: Trust, host: str, port: int) -> str:
    """The date in an answer of the SuperLink, whose certificate names the host, as sites demand, and the role.

    Raises:
        TlsError: why the certificate or the TLS is wrong. OSError: no answer.
    """
    context = client_context(trust)
    try:
        with socket.create_connection((host, port), REACH_S) as plain:
            plain.settimeout(REACH_S)
            with context.wrap_socket(plain, server_hostname=host) as spoken:
                _require_role(spoken, f"the certificate of {what}")
                spoken.sendall(
                    f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii", "replace")
                )
                return _date_in(_head_of(spoken))
    except ssl.SSLError:
        another = CertificateOfAnotherHost(f"the certificate of {what}", host)
        why = Handshake(what, trust.source, "sites without a certificate", another).attempt(context, (host, port), host)
        if why is None:
            raise
        raise why from None


def _head_of(spoken: ssl.SSLSocket) -> bytes:
    """The first bytes of an answer up to an empty line, at most `MAX_HEAD`. Raises OSError: none within `REACH_S`."""
    head, end = b"", time.monotonic() + REACH_S
    while b"\r\n\r\n" not in head and len(head) < MAX_HEAD:
        if (left := end - time.monotonic()) <= 0:
            raise TimeoutError
        spoken.settimeout(left)
        if not (part := spoken.recv(MAX_HEAD)):
            raise ConnectionError("it ended the connection")
        head += part
    if not head.startswith(b"HTTP/1."):
        raise ConnectionError("it does not speak HTTP")
    return head


def _date_in(head: bytes) -> str:
    """The date in the head of an HTTP answer; empty if there is none."""
    found = _DATE.search(head)
    return "" if found is None else found[1].decode("ascii")


def _require_role(spoken: ssl.SSLSocket, what: str) -> None:
    """Raises CertificateOfAnotherRole: the server has another role. CertificateMalformed."""
    pem = ssl.DER_cert_to_PEM_cert(spoken.getpeercert(binary_form=True) or b"")
    Certificate.parse(pem.encode("ascii"), what).require_role(TlsRole.SUPERLINK)


def _compared(who: str, skew_us: int, slack_us: int) -> Finding:
    if abs(skew_us) > MAX_SKEW_US + slack_us:
        how = "ahead of" if skew_us > 0 else "behind"
        return problem(
            f"the clock of the {who} is {abs(skew_us) / 1e6:,.0f} s {how} the one here; allowed: {MAX_SKEW_US / 1e6:,.0f} s",
            "set both clocks: timedatectl set-ntp true; `date -u` on both machines shows which one is wrong",
        )
    return ok(f"the clock of the {who} differs by {abs(skew_us) / 1e6:.1f} s")


def _draft(place: Place, project: Project) -> bytes:
    """A signed draft of a plan that is never announced. An aggregator that is asked about it writes and charges nothing."""
    view = FeatureView(
        "doctor",
        entity=Entity("k", domain=[0]),
        pane="1d",
        features=[Count("n")],
        bounds=Bounds(1),
        privacy=Privacy(rho=0.0001, min_clients=2),
    )
    day = place.now_us // DAY_US - 1
    clients, terms = [one.max_clients for one in project.roster.entries], RequestedTerms()
    plan = new_plan(
        [PlannedView(view, np.array([day * DAY_US], np.int64), 2)],
        terms.of_sites(clients),
        terms.noise,
        plan_id=os.urandom(PLAN_ID_BYTES),
        sites=clients,
        wire=project.wire_terms(wall_clock() + 60 * SECOND_US),
    )
    return sign_draft(plan, load_keys(place.keys, "coordinator").at(plan.deadline_us).sign)
