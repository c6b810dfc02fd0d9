"""Terms: the choices that make a plan together, their spelling, and the plan bytes of each combination."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from federation.errors import PlanInvalid, TermsImpossible, TermUnknown
from federation.plan import plan_from_bytes, plan_to_bytes
from federation.terms import (
    Encrypted,
    Finish,
    Noise,
    Participation,
    Protection,
    ReportPer,
    RequestedTerms,
    Shares,
    Terms,
    Validity,
    default_participation,
    parse_term,
    require_noise,
    terms_of,
)

KINDS = (Noise, Protection, Validity, Finish, ReportPer, Participation)
GOLDEN: dict[str, str | None] = json.loads((Path(__file__).parent / "golden_plans.json").read_text(encoding="utf-8"))
"""Plan bytes for each combination of words, or None for an impossible one; recorded before terms were types."""


def made(words: str) -> tuple[Noise, Terms]:
    noise, *others = (parse_term(kind, text) for kind, text in zip(KINDS, words.split(), strict=True))
    terms = terms_of(*others)  # type: ignore[arg-type]
    require_noise(terms, noise)  # type: ignore[arg-type]
    return noise, terms  # type: ignore[return-value]


def test_the_golden_plans_cover_every_combination() -> None:
    assert {tuple(words.split()) for words in GOLDEN} == set(
        itertools.product(*([one.value for one in kind] for kind in KINDS))
    )


@pytest.mark.parametrize("words", GOLDEN)
def test_a_combination_is_possible_exactly_where_it_always_was_and_its_plan_has_the_same_bytes(words: str) -> None:
    golden = GOLDEN[words]
    if golden is None:
        with pytest.raises(TermsImpossible):
            made(words)
        return
    data = bytes.fromhex(golden)
    plan = plan_from_bytes(data)
    assert (plan.noise, plan.terms) == made(words)
    assert plan_to_bytes(plan) == data


@pytest.mark.parametrize("words", [words for words, golden in GOLDEN.items() if golden is not None])
def test_terms_read_back_as_the_words_that_they_are_made_of(words: str) -> None:
    noise, terms = made(words)
    said = (noise, terms.protection, terms.validity, terms.finish, terms.report_per, terms.participation)
    assert " ".join(one.value for one in said) == words


def test_shares_and_encrypted_take_nothing_that_excludes_the_other() -> None:
    assert terms_of(Protection.HE, Validity.NONE, Finish.OPEN, ReportPer.CLIENT, Participation.ALL) == Encrypted(
        Participation.ALL
    )
    for field in ("validity", "finish", "report_per"):
        with pytest.raises(TypeError):
            Encrypted(**{field: None})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"validity": Validity.PRIO3}, "validity 'prio3' requires protection 'shares': nothing can be proven"),
        ({"finish": Finish.MPC}, "finish 'mpc' requires protection 'shares': the aggregators compute with shares"),
        (
            {"report_per": ReportPer.SITE},
            "report_per 'site' requires protection 'shares': a site's sum is not encrypted",
        ),
    ],
)
def test_what_does_not_go_with_encrypted_reports_is_refused_by_name(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(TermsImpossible, match=message) as refused:
        RequestedTerms(protection=Protection.HE, **choice)
    ((term, value),) = choice.items()
    assert (refused.value.term, refused.value.value) == (term, value.value)
    assert refused.value.requires == ("protection", "shares")


def test_mpc_without_noise_is_refused_before_there_is_a_plan() -> None:
    with pytest.raises(TermsImpossible, match="finish 'mpc' requires noise 'full': only noised shares may enter MPC"):
        RequestedTerms(finish=Finish.MPC, noise=Noise.NONE)
    with pytest.raises(TermsImpossible):
        require_noise(Shares(finish=Finish.MPC), Noise.NONE)


def test_who_reports_follows_from_the_sites_unless_it_is_asked_for() -> None:
    assert RequestedTerms().of_sites([1, 1]).participation is Participation.ALL
    assert RequestedTerms().of_sites([1, 2]).participation is Participation.ACTIVE
    assert RequestedTerms(participation=Participation.ACTIVE).of_sites([1]).participation is Participation.ACTIVE
    assert default_participation([]) is Participation.ACTIVE


@pytest.mark.parametrize("text", ["", "FULL", "shares ", "nine", None, 1])
def test_a_word_that_is_none_is_refused_with_those_that_there_are(text: object) -> None:
    with pytest.raises(TermUnknown, match=r"unknown validity .*: it must be 'none' or 'prio3'") as refused:
        parse_term(Validity, text)
    assert isinstance(refused.value, PlanInvalid)
    assert refused.value.known == ("none", "prio3")
