"""The finish mpc between leader, helper and provider as services: it opens the plaintext rule's values and nothing else."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.collect.aggregate_share import SealedShare, noised_of, sums_to_bytes
from aggregator.collect.collection import CollectedSums
from aggregator.collect.collection_job import (
    FINISH_DOMAIN,
    PROVIDE_DOMAIN,
    SHARE_DIGEST_DOMAIN,
    FinishSession,
    ShareDigest,
    collect_request,
)
from aggregator.errors import MessageMalformed, ProviderUnknown, SettingsRefused, Unreachable
from aggregator.intake.refusals import refusal_of
from aggregator.mpc.provider import Provider
from aggregator.services import aggregator_pb2 as pb
from aggregator.services.client import Aggregators
from aggregator.services.peer_channels import HelperChannel, ProviderChannel
from aggregator.services.services import Service, serve
from aggregator.shares.helper import Helper
from aggregator.shares.leader import Leader
from aggregator.signed_message import sign
from base.errors import ConfigInvalid
from crypto.errors import ConversionUnsafe, CrypTenMissing, SignatureInvalid
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import ClientCount, Mean
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.wire import definition_hash
from federation.aggregation import OpenedView, open_shares
from federation.errors import FinishRefused, StatementsDisagree
from federation.former_keys import KEPT_US, FormerKey, PinnedKey
from federation.keys import RoleKeys
from federation.parties import Roster, RosterEntry
from federation.plan import Plan
from federation.statement import Statement
from tests.aggregator.refusals import refused
from tests.aggregator.world import (
    COLLECTOR,
    HELPER,
    KEYS,
    LEADER,
    SETTINGS,
    LocalLink,
    Site,
    make_helper,
    make_leader,
    make_plan,
    open_at,
    signed,
)
from tests.federation.wire import live
from tests.federation.words import with_words

if importlib.util.find_spec("crypten") is None or importlib.util.find_spec("torch") is None:
    pytest.skip("CrypTen is not installed (extra `mpc`, then pip install --no-deps crypten)", allow_module_level=True)


LIMIT = 80


def plan_of(panes: int = 3, clip: int = 1) -> Plan:
    view = FeatureView(
        "v",
        entity=Entity("k", domain=range(20)),
        features=[Mean("x", clip=(0, clip), resolution=1), ClientCount("c")],
        pane="1d",
        bounds=Bounds(2, 1),
        privacy=Privacy(rho=0.5, min_clients=2, suppress_below=LIMIT),
    )
    return live(with_words(make_plan(view, panes=panes, noise="full"), finish="mpc"))


class ThreeServices:
    """Leader, helper and provider on free loopback ports."""

    def __init__(self, path: Path) -> None:
        self.helper = serve(make_helper(path), "127.0.0.1", 0)
        self.provider = serve(Provider(lambda: LEADER.pinned, lambda: 0), "127.0.0.1", 0)
        self.links: tuple[Any, ...] = HelperChannel(self.helper.address), ProviderChannel(self.provider.address)
        self.leader = serve(make_leader(path, self.links[0], provider=self.links[1]), "127.0.0.1", 0)
        self.client = Aggregators(self.leader.address, self.helper.address, patience_s=3.0)

    def restart_provider(self) -> None:
        port = int(self.provider.address.rpartition(":")[2])
        self.provider = serve(Provider(lambda: LEADER.pinned, lambda: 0), "127.0.0.1", port)

    def close(self) -> None:
        self.client.close()
        for service in (self.leader, self.helper, self.provider):
            service.stop(0)
        for link in self.links:
            link.close()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[ThreeServices]:
    made = ThreeServices(tmp_path)
    yield made
    made.close()


def report(client: Aggregators, plan: Plan) -> None:
    """Submit forty reports for each pane except the last one, with client counts around the limit, and one for the last."""
    panes, site = len(plan.views[0].pane_starts), Site(plan)
    open_at(client, plan)
    client.submit(site.batch([pane for pane in range(panes - 1) for _ in range(40)] + [panes - 1]).to_bytes())


def noised_sums(plan: Plan, leader: Leader, helper: Helper) -> OpenedView:
    """The noised sums, from both aggregators' shares; only this test adds them."""
    shares = [
        noised_of(plan, party.role, party.files.storage.held(1), party.identity.keys.sign.public)[0]
        for party in (leader, helper)
    ]
    (opened,) = open_shares(with_words(plan, finish="open"), *shares)
    return opened


def process_of(service: Service) -> Any:
    """The process at a seat, as soon as it has started."""
    party, until = service.party, time.monotonic() + 60
    seat = party._seat if isinstance(party, Provider) else party.suppression.seat  # type: ignore[union-attr]
    while (found := seat._process) is None and time.monotonic() < until:
        time.sleep(0.01)
    assert found is not None
    return found


def test_three_services_open_the_plaintext_rule_on_the_stored_shares_and_mend_a_lost_provider(
    services: ThreeServices,
) -> None:
    plan, client = plan_of(), services.client
    leader, helper = services.leader.party, services.helper.party
    assert isinstance(leader, Leader)
    assert isinstance(helper, Helper)
    report(client, plan)
    services.provider.stop(0)
    assert refused(lambda: client.collect(plan, COLLECTOR)).reason == "PROVIDER_UNAVAILABLE"
    assert [one.state for one in client.status("helper")] == ["witnessed"]
    expected = noised_sums(plan, leader, helper)
    assert refused(lambda: list(client._shares(plan, "helper", _collect(plan)))).reason == "NOT_COMMITTED"
    leaders = b"".join(
        leader.files.storage.to_swap(1)
    )  # a leader that offers these in exchange for the helper's noised shares
    bound = ShareDigest(plan.hash, hashlib.sha256(leaders).digest())
    digest = sign(SHARE_DIGEST_DOMAIN["leader"], bound.to_bytes(), LEADER.sign)
    assert refused(lambda: services.links[0].digest(digest)).reason == "FINISH_REFUSED"
    assert refused(lambda: services.links[0].swap(plan.hash, leaders)).reason == "FINISH_REFUSED"
    words = [part.share for party in (leader, helper) for part in party.files.storage.held(1)]

    services.restart_provider()
    with ThreadPoolExecutor(1) as threads:
        tried = threads.submit(lambda: client.collect(plan, COLLECTOR))
        process_of(services.provider).kill()
        lost = refused(tried.result)
    assert lost.reason == "MPC_FAILED"
    assert "the process of the provider has ended early" in str(lost)
    assert leader.files.storage.held(1)
    assert helper.files.storage.held(1)

    first = client.collect(plan, COLLECTOR)
    assert isinstance(first, CollectedSums)
    (opened,) = first.open(plan)
    (slot,) = plan.views[0].layout.client_counts
    small = expected.sums[:, :, slot] < LIMIT
    assert small.any()
    assert not small.all()
    assert opened.suppressed is not None
    np.testing.assert_array_equal(opened.suppressed, small)
    np.testing.assert_array_equal(opened.sums, np.where(small[:, :, None], 0, expected.sums))
    assert opened.outcomes.tolist() == expected.outcomes.tolist() == [0, 0, 1]

    # the collector receives the sealed shares above and the statements signed over them, and nothing else
    for role in ("leader", "helper"):
        (share,) = client._shares(plan, role, _collect(plan))
        said, plaintext = share.plaintext(plan, 0, role, COLLECTOR.seal)  # type: ignore[arg-type]
        assert plaintext == sums_to_bytes(opened)
        assert said.outcomes == bytes([0, 0, 1])
    again = client.collect(plan, COLLECTOR)
    assert again.statements == first.statements  # they sign the sealed bytes, so these are equal too

    # both files have lost the shares, and neither party runs the finish again
    for service in (services.leader, services.helper):
        assert isinstance(service.party, Leader | Helper)
        assert not service.party.files.storage.held(1)
        assert service.party.suppression.seat._process is None
        path = service.party.files.storage.path
        data = b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))
        assert not any(word[at : at + 64] in data for word in words for at in range(0, len(word), 64))
        assert all(
            one.statement in data for one in service.party.files.storage.noised(1)
        )  # the search finds known bytes
    asked = sign(FINISH_DOMAIN, FinishSession(plan.hash, 1).to_bytes(), LEADER.sign)
    assert refused(lambda: services.links[0].finish(asked)).reason == "FINISH_REFUSED"
    ledgers = [party.files.ledger.state.completed[plan.hash] for party in (leader, helper)]
    assert ledgers[0] != ledgers[1]


def test_a_leader_that_dies_before_it_has_stored_runs_again_over_the_same_shares(
    services: ThreeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, client, leader = plan_of(2), services.client, services.leader.party
    assert isinstance(leader, Leader)
    report(client, plan)
    with monkeypatch.context() as patched:
        patched.setattr(type(leader.files.storage), "settle", _dies)
        assert refused(lambda: client.collect(plan, COLLECTOR)).reason == "INTERNAL"
    assert not leader.files.storage.noised(1)
    helper = services.helper.party
    assert isinstance(helper, Helper)
    (before,) = helper.files.storage.noised(1)  # stored, and not sent yet
    expected = noised_sums(plan, leader, helper)
    (opened,) = client.collect(plan, COLLECTOR).open(plan)
    assert opened.suppressed is not None
    np.testing.assert_array_equal(opened.sums, np.where(opened.suppressed[:, :, None], 0, expected.sums))
    assert helper.files.storage.noised(1) != [before]


def test_a_helpers_process_that_dies_is_named(services: ThreeServices) -> None:
    plan, client = plan_of(2), services.client
    report(client, plan)
    with ThreadPoolExecutor(1) as threads:
        tried = threads.submit(lambda: client.collect(plan, COLLECTOR))
        process_of(services.helper).kill()
        lost = refused(tried.result)
    assert lost.reason == "MPC_FAILED"
    assert "the process of the helper has ended early" in str(lost)


def test_a_service_that_is_stopped_leaves_no_process(services: ThreeServices) -> None:
    plan, client = plan_of(2), services.client
    report(client, plan)
    with ThreadPoolExecutor(1) as threads:
        tried = threads.submit(lambda: client.collect(plan, COLLECTOR))
        processes = [process_of(one) for one in (services.leader, services.helper, services.provider)]
        services.leader.stop()
        with pytest.raises(Unreachable):
            tried.result()
        services.helper.stop(0)
        services.provider.stop(0)
    assert all(process.poll() is not None for process in processes)


def test_a_plan_of_which_no_pane_opens_ends_as_every_other_one(services: ThreeServices) -> None:
    plan = plan_of(1)
    report(services.client, plan)  # one report
    (opened,) = services.client.collect(plan, COLLECTOR).open(plan)
    assert opened.outcomes.tolist() == [1]
    assert opened.sums.shape == (0, 20, plan.views[0].layout.slots_per_key)


def test_plans_that_cannot_be_finished_are_refused_before_a_report_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, helper = plan_of(), make_helper(tmp_path)
    leader = make_leader(tmp_path, LocalLink(helper))
    with pytest.raises(ProviderUnknown, match="no provider") as unknown:
        open_at(leader, plan)
    assert refusal_of(unknown.value).reason == "PROVIDER_UNKNOWN"
    many = Roster([RosterEntry(site, keys.sign.public, 2**30) for site, keys in KEYS.items()])
    helper.identity.settings = dataclasses.replace(SETTINGS, roster=many)
    with pytest.raises(ConversionUnsafe) as unsafe:
        helper.open_plan(signed(plan_of(clip=2**12)))
    assert refusal_of(unsafe.value).reason == "CONVERSION_UNSAFE"
    helper.identity.settings = SETTINGS
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CrypTenMissing) as missing:
        open_at(helper, plan)
    assert refusal_of(missing.value).reason == "EXTRA_MISSING"
    with pytest.raises(CrypTenMissing):
        Provider(lambda: LEADER.pinned, lambda: 0)
    for party in (leader, helper):
        assert not party.files.storage.plans()
        party.close()


def test_the_provider_takes_new_keys_of_the_leader_and_refuses_lost_and_long_replaced_ones() -> None:
    new, former = RoleKeys.generate("leader", os.urandom), FormerKey("leader", LEADER.sign.public, 1_000)
    pins, now = [LEADER.pinned], [1_000 + KEPT_US]
    provider = Provider(lambda: pins[0], lambda: now[0])

    def is_taken(keys: RoleKeys) -> bool:
        try:
            provider.begin(sign(PROVIDE_DOMAIN, FinishSession(bytes(32), 0).to_bytes(), keys.sign))
        except MessageMalformed:  # its signature is valid, and the session is without a port
            return True
        except SignatureInvalid:
            return False
        raise AssertionError

    def taken() -> tuple[bool, bool]:
        return is_taken(LEADER), is_taken(new)

    assert taken() == (True, False)
    pins[0] = PinnedKey("leader", new.sign.public, (former,))
    assert taken() == (True, True)
    pins[0] = PinnedKey("leader", new.sign.public, (dataclasses.replace(former, lost=True),))
    assert taken() == (False, True)
    pins[0], now[0] = PinnedKey("leader", new.sign.public, (former,)), 1_001 + KEPT_US
    assert taken() == (False, True)


def test_a_provider_whose_settings_cannot_be_read_refuses_by_name() -> None:
    def leader() -> PinnedKey:
        raise ConfigInvalid("covey.toml", "it is no TOML")

    request = sign(PROVIDE_DOMAIN, FinishSession(bytes(32), 5).to_bytes(), LEADER.sign)
    with pytest.raises(SettingsRefused, match="it is no TOML"):
        Provider(leader, lambda: 0).begin(request)


def test_who_is_not_the_leader_starts_no_process(tmp_path: Path) -> None:
    plan, helper, provider = plan_of(), make_helper(tmp_path), Provider(lambda: LEADER.pinned, lambda: 0)
    open_at(helper, plan)
    body = FinishSession(plan.hash, 5).to_bytes()
    for key, domain in ((HELPER.sign, PROVIDE_DOMAIN), (LEADER.sign, FINISH_DOMAIN)):
        with pytest.raises(SignatureInvalid):
            provider.begin(sign(domain, body, key))
    with pytest.raises(MessageMalformed, match="without a port"):
        provider.begin(sign(PROVIDE_DOMAIN, FinishSession(plan.hash, 0).to_bytes(), LEADER.sign))
    with pytest.raises(SignatureInvalid):
        helper.finish(sign(PROVIDE_DOMAIN, body, LEADER.sign))
    for wrong in (
        body + b"\x10\x06",
        FinishSession(plan.hash, 2**16).to_bytes(),
        FinishSession(bytes(31), 5).to_bytes(),
    ):
        with pytest.raises(MessageMalformed):
            FinishSession.from_bytes(wrong)
    assert provider._seat._process is None
    assert helper.suppression.seat._process is None
    helper.close()


def test_a_collector_takes_only_what_both_have_opened(tmp_path: Path) -> None:
    plan = plan_of(2)
    (planned,) = plan.views
    sums = np.full((2, 20, planned.layout.slots_per_key), 100)
    opened = OpenedView(planned, np.zeros(2, np.uint8), sums, suppressed=np.zeros((2, 20), np.bool_))
    other = dataclasses.replace(opened, sums=sums + 1)
    hidden = dataclasses.replace(opened, suppressed=np.ones((2, 20), np.bool_))
    shares = {(role, at): _share(plan, role, view) for role in ("leader", "helper")
              for at, view in enumerate((opened, other, hidden))}  # fmt: skip
    both = CollectedSums.of(plan, [shares["leader", 0]], [shares["helper", 0]], COLLECTOR.seal)
    np.testing.assert_array_equal(both.opened[0].sums, sums)
    with pytest.raises(StatementsDisagree, match="opened different values"):
        CollectedSums.of(plan, [shares["leader", 0]], [shares["helper", 1]], COLLECTOR.seal)
    with pytest.raises(MessageMalformed, match="are malformed"):
        CollectedSums.of(plan, [shares["leader", 2]], [shares["helper", 2]], COLLECTOR.seal)
    with pytest.raises(FinishRefused):
        _share(plan, "leader", dataclasses.replace(opened, suppressed=None))


def _share(plan: Plan, role: str, opened: OpenedView) -> SealedShare:
    key = (LEADER if role == "leader" else HELPER).sign
    said = Statement(role, plan.hash, 0, definition_hash(opened.planned.view), bytes(2), bytes(32), bytes(32), ())  # type: ignore[arg-type]
    return SealedShare.of_finished(plan, said, opened, key)


def _collect(plan: Plan) -> pb.Signed:
    return pb.Signed.FromString(collect_request(plan, COLLECTOR.sign))


def _dies(*_: object) -> None:
    raise OSError("the process ended")
