"""policy.toml: valid entries are read, and the error for an invalid entry names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base.errors import ConfigInvalid
from edge_client.errors import PolicyMissing
from edge_client.policy import Policy
from edge_client.policy_file import PolicyEntries, load_policy, policy_to_toml
from federation.keys import public_line
from federation.price import Observer
from federation.rho import MAX_MICRO_RHO
from federation.terms import Participation, Protection, Validity
from tests.federation.wire import COLLECTOR, COORDINATOR, HELPER, LEADER

from .making import POLICY

PINS = {"coordinator": COORDINATOR.sign.public, "leader": LEADER.sign.public, "helper": HELPER.sign.public}
TEXT = policy_to_toml(POLICY)


def read(path: Path, text: str) -> Policy:
    (path / "policy.toml").write_text(text, encoding="utf-8")
    return load_policy(path / "policy.toml")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    views=st.lists(st.text("abz_*?[]\"'\\é ", min_size=1), min_size=1, max_size=4),
    rho=st.integers(1, MAX_MICRO_RHO),
    k=st.integers(1, 10**9),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    participation=st.sampled_from([None, *Participation]),
    protection=st.sampled_from([None, *Protection]),
    validity=st.sampled_from([None, Validity.PRIO3]),
    hours=st.integers(1, 10**6),
    counts=st.sampled_from(Observer),
)
def test_what_is_written_is_read(
    tmp_path: Path, views, rho, k, flags, participation, protection, validity, hours, counts
) -> None:  # type: ignore[no-untyped-def]
    policy = Policy(
        **PINS,
        views=tuple(views),
        max_micro_rho=rho,
        min_k=k,
        allow_noise_off=flags[0],
        allow_activity_visible=flags[1],
        participation=participation,
        protection=protection,
        validity=validity,
        max_plan_hours=hours,
        budget_counts=counts,
        overlap=flags[2],
    )
    assert read(tmp_path, policy_to_toml(policy)) == policy


@pytest.mark.parametrize("columns", [(), ("*",), ("spent", "a b", "le\nvel")])
def test_pins_and_columns_are_read_as_written(tmp_path: Path, columns: tuple[str, ...]) -> None:
    policy = Policy(**PINS, views=(f"v@{'0a' * 32}", "w*"), columns=columns, join_keys=columns)
    assert read(tmp_path, policy_to_toml(policy)) == policy


def test_a_file_of_pins_alone_is_as_strict_as_the_defaults(tmp_path: Path) -> None:
    pins = "".join(line + "\n" for line in TEXT.splitlines() if line.split(" ")[0] in PINS)
    assert read(tmp_path, pins) == Policy(**PINS)
    assert Policy(**PINS).max_micro_rho == 100_000
    assert Policy(**PINS).min_k == 50
    assert not Policy(**PINS).allow_activity_visible
    assert Policy(**PINS).protection is Protection.SHARES
    assert Policy(**PINS).budget_counts is Observer.AGGREGATOR
    assert not Policy(**PINS).overlap


def test_every_key_stands_in_the_file_with_a_word_about_it() -> None:
    keys = [line.split(" = ")[0] for line in TEXT.splitlines() if " = " in line and not line.startswith("#")]
    assert sorted(keys) == sorted(
        {field.alias or name for name, field in PolicyEntries.model_fields.items()} - {"former"}
    )
    assert "[[former]]" in TEXT


@pytest.mark.parametrize(
    ("text", "micro_rho"),
    [("0.1", 100_000), ("1", 10**6), ("1e-6", 1), ("0.299999", 299_999), ("0.1000000", 100_000), ("1_000", 10**9)],
)
def test_rho_is_exact(tmp_path: Path, text: str, micro_rho: int) -> None:
    changed = TEXT.replace("max_rho_per_day = 1.0", f"max_rho_per_day = {text}")
    assert changed != TEXT or text == "1.0"
    assert read(tmp_path, changed).max_micro_rho == micro_rho


LEADER_LINE = public_line("leader", LEADER.public).strip()
ODD: dict[str, tuple[Callable[[str], str], str]] = {
    "an unknown key": (lambda t: t + "min_clients = 3\n", "min_clients: unknown key. Known are coordinator, leader"),
    "a section": (lambda t: t + "[privacy]\nrho = 1\n", "privacy: unknown key"),
    "twice the same": (lambda t: t + "min_k = 3\n", "the file is not TOML"),
    "no coordinator": (
        lambda t: "".join(x for x in t.splitlines(True) if "coordinator =" not in x),
        "coordinator: the key is missing",
    ),
    "no helper": (
        lambda t: "".join(x for x in t.splitlines(True) if "helper =" not in x),
        'helper: the key is missing; write helper = "…"',
    ),
    "a coordinator that is not base64": (lambda t: t.replace('coordinator = "', 'coordinator = "?'), "coordinator: "),
    "a coordinator too short": (lambda t: t.replace(t.split('"')[1], "AAAA"), "coordinator: .*have 3, need 32"),
    "an aggregator's key cut off": (lambda t: t.replace(LEADER_LINE, LEADER_LINE[:-8]), "leader"),
    "keys of another role": (
        lambda t: t.replace(LEADER_LINE, public_line("helper", HELPER.public).strip()),
        "leader: the line holds the keys of helper",
    ),
    "keys of nobody here": (
        lambda t: t.replace(LEADER_LINE, public_line("collector", COLLECTOR.public).strip()),
        "leader: the line holds the keys of collector",
    ),
    "rho as text": (lambda t: t.replace("day = 1.0", 'day = "1.0"'), "max_rho_per_day: rho must be a number"),
    "rho as truth": (lambda t: t.replace("day = 1.0", "day = true"), "max_rho_per_day: rho must be a number"),
    "no rho at all": (lambda t: t.replace("day = 1.0", "day = 0.0"), "max_rho_per_day: rho must be above 0"),
    "negative rho": (lambda t: t.replace("day = 1.0", "day = -0.1"), "must be above 0"),
    "endless rho": (lambda t: t.replace("day = 1.0", "day = inf"), "such as 0.1"),
    "rho that is no number": (lambda t: t.replace("day = 1.0", "day = nan"), "such as 0.1"),
    "rho finer than a ledger": (lambda t: t.replace("day = 1.0", "day = 0.0000001"), "multiple of a millionth"),
    "a budget that counts nobody": (
        lambda t: t.replace('counts = "aggregator"', 'counts = "any"'),
        "budget_counts: it must be 'aggregator' or 'outsiders', not 'any'",
    ),
    "an overlap that is no truth": (lambda t: t.replace("overlap = false", "overlap = 1"), "overlap: "),
    "k of nobody": (lambda t: t.replace("min_k = 2", "min_k = 0"), "min_k: it must be at least 1, not 0"),
    "a broken k": (lambda t: t.replace("min_k = 2", "min_k = 2.5"), "min_k: write min_k = N, not 2.5"),
    "no list": (lambda t: t.replace('["*"]', '"*"'), "views: write views = "),
    "an empty list": (lambda t: t.replace('["*"]', "[]"), "views: the list is too short; write views = "),
    "a pin cut off": (
        lambda t: t.replace('["*"]', f'["v@{"0" * 63}"]', 1),
        "is not NAME@HASH; HASH is .* 64 hexadecimal",
    ),
    "a pin of a pattern": (lambda t: t.replace('["*"]', f'["v*@{"0" * 64}"]', 1), "is not NAME@HASH"),
    "columns that are no list": (
        lambda t: t.replace('columns = ["*"]', 'columns = "spent"'),
        "columns: write columns = ",
    ),
    "a join key without a name": (
        lambda t: t.replace('join_keys = ["*"]', 'join_keys = [""]'),
        "join_keys: write join_keys = ",
    ),
    "another kind": (
        lambda t: t.replace('participation = "any"', 'participation = "some"'),
        "'any', 'active' or 'all', not 'some'",
    ),
    "another proof": (lambda t: t.replace('validity = "any"', 'validity = "none"'), "'any' or 'prio3', not 'none'"),
    "other noisers": (lambda t: t.replace('noisers = "any"', 'noisers = "shared"'), "'any' or 'each', not 'shared'"),
    "no truth": (
        lambda t: t.replace("noise_off = false", 'noise_off = "no"'),
        "allow_noise_off: write allow_noise_off = true",
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_odd_is_named_with_its_file(tmp_path: Path, what: str) -> None:
    change, says = ODD[what]
    assert change(TEXT) != TEXT
    with pytest.raises(ConfigInvalid, match=says) as refused:
        read(tmp_path, change(TEXT))
    assert str(tmp_path / "policy.toml") in str(refused.value)


def test_a_missing_file_has_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(PolicyMissing, match=r"policy\.toml: there is no such file"):
        load_policy(tmp_path / "policy.toml")
