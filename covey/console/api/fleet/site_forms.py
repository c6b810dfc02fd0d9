"""The sites of a fleet, and the plan that they answer. Times are µs since the epoch."""

from __future__ import annotations

from collections import Counter

from covey.console.api.form import Form
from covey.console.commands import command
from deployment.coordinator.answer_log import PlanAnswers
from deployment.inspect.ledger_view import sentence_of
from deployment.inspect.plan_under_way import PlanUnderWay
from deployment.inspect.site_activity import SiteActivity

from .part import Part


class Refusal(Form):
    """How often a site gave a code; `sentence` and `mend` are those of the code."""

    code: str
    count: int
    last: int
    sentence: str
    mend: str


class Site(Form):
    """What is known here of a site.

    `answers`: how many of the last plans ended answered, refused, absent, lost. `ledger`: `whole`, `broken`, or `elsewhere`.
    """

    site: str
    max_clients: int | None
    seen: int | None
    answers: dict[str, int]
    last_answer: str | None
    refusals: tuple[Refusal, ...]
    ledger: str
    ledger_problem: str | None


class SitesPart(Part):
    """The sites of the project."""

    sites: tuple[Site, ...] = ()


class SiteInPlan(Form):
    """What a site has answered to the plan under way. `state` None: nothing yet."""

    site: str
    state: str | None
    code: str | None
    sentence: str
    batches: int


class Plan(Form):
    """The plan under way. `commands`: continue it, or give it up."""

    plan: str
    deadline: int
    first: int
    last: int
    panes: dict[str, int]
    sites: tuple[SiteInPlan, ...]
    commands: tuple[str, ...]


class EndedPlan(Form):
    """The plan that ended last.

    `announced`: the sites were asked for reports, else only what they would answer. `answers`: how many sites answered,
    refused, were absent, lost.
    """

    at: int
    views: tuple[str, ...]
    announced: bool
    answers: dict[str, int]


class PlanPart(Part):
    """The plan that the coordinator carries out, and the one that ended last; None: none."""

    plan: Plan | None = None
    last: EndedPlan | None = None


def site_form(one: SiteActivity) -> Site:
    """A site."""
    return Site(
        site=one.site,
        max_clients=one.max_clients,
        seen=one.seen_us,
        answers={outcome.value: count for outcome, count in one.outcomes.items()},
        last_answer=None if one.last_outcome is None else one.last_outcome.value,
        refusals=tuple(
            Refusal(code=each.code, count=each.count, last=each.last_us, sentence=each.sentence, mend=each.mend)
            for each in one.refusals
        ),
        ledger="elsewhere" if one.ledger is None else "broken" if one.ledger else "whole",
        ledger_problem=one.ledger or None,
    )


def ended_form(one: PlanAnswers | None) -> EndedPlan | None:
    """The plan that ended last."""
    if one is None:
        return None
    answers = Counter(each.state.value for each in one.sites.values())
    return EndedPlan(at=one.at_us, views=one.views, announced=one.announced, answers=dict(sorted(answers.items())))


def plan_form(one: PlanUnderWay | None, project: str) -> Plan | None:
    """The plan under way."""
    if one is None:
        return None
    collect = "covey", "collect", "--project", project
    return Plan(
        plan=one.plan_hash.hex(),
        deadline=one.deadline_us,
        first=one.first_us,
        last=one.last_us,
        panes=dict(one.panes),
        sites=tuple(
            SiteInPlan(
                site=site,
                state=None if each is None else each.state.value,
                code=None if each is None else each.code,
                sentence="" if each is None else sentence_of(each.code),
                batches=0 if each is None else each.batches,
            )
            for site, each in one.sites.items()
        ),
        commands=(command(*collect, "--resume"), command(*collect, "--give-up")),
    )
