"""A site and a plan with encrypted reports: what its policy must allow, which keys it accepts, and what a retry keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crypto.bfv import Ciphertexts
from crypto.bfv_secret import SecretKey
from edge_client.ledger import SiteLedger
from edge_client.policy import Policy, Refuse, decide
from edge_client.site import SiteSettings, respond
from federation.accountant import charge_of
from federation.batch.batch import SealedBatch
from federation.batch.he_batch import open_encrypted
from federation.draft import draft_of
from federation.errors import HeImpossible
from federation.he.keys import keys_hash, sign_keys
from federation.he.reports import EncryptedReports
from federation.ledger.snapshot import read_ledger
from federation.ledger.state import LedgerState
from federation.parties import Roster, RosterEntry
from federation.plan import Plan
from federation.refusal_codes import RefusalCode
from federation.terms import Protection, Validity
from tests.aggregator.world import NOW
from tests.federation import he_cases  # noqa: F401 - skips without the extra
from tests.federation.wire import HELPER, LEADER_SEAL, OTHER_SITE, SITE, live
from tests.federation.words import with_words
from tests.ledgers import spent_of

from .making import POLICY, answered, events, ids_of, plan_with, proven, settings_in, sign

ALLOWED = replace(POLICY, protection=Protection.HE)
OWN = events(("p", 0, "x"), ("q", 0, "y"), ("q", 1, "x"))


class Keyed:
    """A plan under `he`, its public keys as the site receives them, and the secret keys."""

    def __init__(self, signer: Any = HELPER, **terms: Any) -> None:
        draft = with_words(plan_with(**terms), protection="he", max_clients=20)
        self.secret = [SecretKey.generate(draft.he_parameters(planned)) for planned in draft.views]
        self.signed = sign_keys(draft_of(draft).hash, [key.public for key in self.secret], signer.sign)
        assert draft.wire is not None
        self.plan: Plan = live(replace(draft, wire=replace(draft.wire, encryption_keys_hash=keys_hash(self.signed))))


@pytest.fixture(scope="module")
def keyed() -> Keyed:
    return Keyed()


@pytest.fixture
def settings(tmp_path: Path) -> SiteSettings:
    return settings_in(tmp_path, ALLOWED)


def ask(
    plan: Plan, keys: bytes, settings: SiteSettings, own: Any = OWN, seed: int = 0
) -> Iterator[SealedBatch] | Refuse:
    return respond(
        sign(plan), settings, lambda _: own, lambda: NOW, np.random.default_rng(seed).bytes, encryption_keys=keys
    )


def opened(plan: Plan, batches: list[SealedBatch]) -> list[EncryptedReports]:
    roster = Roster([RosterEntry("a", SITE.public.sign, 100)])
    return [open_encrypted(plan, LEADER_SEAL, roster, batch) for batch in batches]


# the policy


def test_encrypted_reports_are_given_only_where_the_policy_says_so(keyed: Keyed) -> None:
    def code(policy: Policy, plan: Plan) -> str | None:
        found = decide(sign(plan), policy, LedgerState(), NOW)
        return str(found.code) if isinstance(found, Refuse) else None

    shares = plan_with()
    assert code(POLICY, keyed.plan) == "PROTECTION_NOT_ALLOWED"
    assert code(replace(POLICY, protection=Protection.HE), keyed.plan) is None
    assert code(replace(POLICY, protection=None), keyed.plan) is None
    assert code(replace(POLICY, protection=Protection.HE), shares) == "PROTECTION_NOT_ALLOWED"
    assert code(replace(POLICY, protection=None), shares) is None
    assert code(POLICY, shares) is None
    assert code(replace(ALLOWED, validity=Validity.PRIO3), keyed.plan) == "PROOFS_REQUIRED"


def test_a_refusal_by_policy_is_in_the_ledger_and_charges_nothing(keyed: Keyed, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    found = ask(keyed.plan, keyed.signed, settings)
    assert isinstance(found, Refuse)
    assert found.code == RefusalCode.PROTECTION_NOT_ALLOWED
    state = read_ledger(settings.ledger, "site-a").state
    assert [one.code for one in state.refused] == ["PROTECTION_NOT_ALLOWED"]
    assert not spent_of(state)


def test_the_day_is_charged_with_what_the_decryption_noise_tells(keyed: Keyed, tmp_path: Path) -> None:
    price = charge_of(keyed.plan, keyed.plan.views[0]).aggregator.micro_rho
    assert price > keyed.plan.views[0].layout.micro_rho
    for most, code in ((price, None), (price - 1, "RHO_TOO_HIGH")):
        settings = settings_in(tmp_path, replace(ALLOWED, max_micro_rho=most))
        found = ask(keyed.plan, keyed.signed, settings)
        assert (str(found.code) if isinstance(found, Refuse) else None) == code
    assert spent_of(read_ledger(tmp_path / "site-a.db", "site-a").state) == {0: price, 1: price}


def test_an_answer_of_ciphertexts_is_measured_in_their_bytes(keyed: Keyed) -> None:
    everybody = with_words(keyed.plan, participation="all")
    for clients, mib, code in ((9, 1, "ANSWER_TOO_LARGE"), (8, 1, None)):  # two panes of 61,472 bytes a client
        found = decide(sign(everybody), replace(ALLOWED, max_answer_mib=mib), LedgerState(), NOW, clients=clients)
        assert (str(found.code) if isinstance(found, Refuse) else None) == code


def test_a_plan_with_proofs_and_encrypted_reports_cannot_be_made() -> None:
    with pytest.raises(Exception, match="nothing can be proven"):
        with_words(proven(plan_with()), protection="he", max_clients=20)
    with pytest.raises(HeImpossible):
        with_words(plan_with(), protection="he", max_clients=10**9)


# the keys


def test_keys_that_are_not_the_pinned_key_holders_are_refused_before_anything_is_charged(
    keyed: Keyed, settings: SiteSettings
) -> None:
    theirs = Keyed(OTHER_SITE)  # signed by another key, with a matching commitment of the coordinator
    other = Keyed()
    cases = [
        (keyed.plan, b""),
        (keyed.plan, keyed.signed[:-1]),
        (keyed.plan, keyed.signed + b"\0"),
        (keyed.plan, keyed.signed[:-1] + bytes([keyed.signed[-1] ^ 1])),
        (keyed.plan, other.signed),
        (theirs.plan, theirs.signed),
        (theirs.plan, keyed.signed),
    ]
    for plan, keys in cases:
        found = ask(plan, keys, settings)
        assert isinstance(found, Refuse)
        assert (found.code, found.plan) == (RefusalCode.ENCRYPTION_KEYS_INVALID, plan.hash)
    state = read_ledger(settings.ledger, "site-a").state
    assert {one.code for one in state.refused} == {"ENCRYPTION_KEYS_INVALID"}
    assert not spent_of(state)
    assert not isinstance(
        ask(keyed.plan, keyed.signed, settings), Refuse
    )  # with the right keys the same plan is accepted


def test_keys_beside_a_plan_with_shares_change_nothing(keyed: Keyed, tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    plan = plan_with()
    found = ask(plan, keyed.signed, settings)
    assert not isinstance(found, Refuse)
    assert ids_of(list(found)) == ids_of(answered(plan, OWN, settings))


# the answer


def test_what_the_key_holder_would_open_are_the_reports_in_the_noise_basis(
    keyed: Keyed, settings: SiteSettings
) -> None:
    found = ask(keyed.plan, keyed.signed, settings)
    assert not isinstance(found, Refuse)
    (reports,) = opened(keyed.plan, list(found))
    key = keyed.secret[0]
    values = [
        key._decrypt(Ciphertexts.from_bytes(key.public.parameters, key.public.key_id, message))[:2].tolist()
        for message in reports.messages
    ]
    assert sorted(zip(reports.collection.tolist(), map(tuple, values), strict=True)) == [
        (0, (0, 1)),
        (0, (1, 0)),
        (1, (1, 0)),
    ]


def test_a_retry_keeps_every_report_id_and_encrypts_anew(keyed: Keyed, settings: SiteSettings) -> None:
    answers = []
    for seed in (1, 2):
        found = ask(keyed.plan, keyed.signed, settings, seed=seed)
        assert not isinstance(found, Refuse)
        answers.append(list(found))
    first, second = answers
    assert ids_of(first) == ids_of(second)
    assert len({report for _, report in ids_of(first)}) == 3
    mine, again = (set().union(*(one.messages for one in opened(keyed.plan, batches))) for batches in answers)
    assert not mine & again
    assert not {batch.signed.header.batch_id for batch in first} & {batch.signed.header.batch_id for batch in second}


def test_the_charge_and_the_ids_are_on_disk_before_a_report_is_encrypted(keyed: Keyed, settings: SiteSettings) -> None:
    found = ask(keyed.plan, keyed.signed, settings)
    assert not isinstance(found, Refuse)
    with SiteLedger(settings.ledger, "a", lambda: NOW) as ledger:
        recorded = ledger.recorded(keyed.plan)
        assert recorded is not None
        assert spent_of(ledger.state)
    assert sorted(report.tobytes() for report in recorded[0].ids) == sorted(report for _, report in ids_of(list(found)))


def test_a_site_without_an_event_sends_one_empty_batch(keyed: Keyed, settings: SiteSettings) -> None:
    found = ask(keyed.plan, keyed.signed, settings, own=events())
    assert not isinstance(found, Refuse)
    (batch,) = found
    assert (len(batch.signed.header), batch.helper) == (0, b"")
