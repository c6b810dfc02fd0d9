"""`covey.run`: collect feature views over events, and publish the releases into a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from base.times import to_us
from featurestore.define.definitions import FeatureView

from .errors import OverBudget, RunRefused, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from deployment.in_process.progress import Progress
    from deployment.in_process.run import ViewReport
    from federation.dating import Dating
    from federation.errors import DayBudgetSpent
    from federation.ledger.state import Budget
    from federation.terms import Noise, RequestedTerms


@dataclass(frozen=True)
class RunReport:
    """The result of a run, view by view.

    Attributes:
        noise: None for a resumed run, whose plan names its noise.
        answers: over the wire, the code of each site's answer.
    """

    store: Path
    noise: Noise | None
    views: tuple[ViewReport, ...]
    answers: dict[str, str] = field(default_factory=dict)

    @property
    def opened(self) -> int:
        """Number of panes that were opened."""
        return sum(view.opened for view in self.views)

    @property
    def already_open(self) -> int:
        """Number of panes that an earlier run had published."""
        return sum(len(view.already_open) for view in self.views)


def run(
    views: FeatureView | Sequence[FeatureView],
    events: str | Path | pa.Table,
    *,
    store: str | Path,
    client_column: str,
    time_column: str,
    site_column: str | None = None,
    start: date | None = None,
    end: date | None = None,
    noise: Literal["on", "off"] = "on",
    min_clients: int | None = None,
    participation: Literal["all", "active"] | None = None,
    site_clients: int | None = None,
    protection: Literal["shares", "he"] = "shares",
    validity: Literal["none", "prio3"] = "none",
    finish: Literal["open", "mpc"] = "open",
    report_per: Literal["client", "site"] = "client",
    budget: float | str = 0.1,
    in_process: bool = False,
    replay: Literal["day", "pane"] = "day",
    sites: int = 1,
    progress: Progress = lambda *_: None,
) -> RunReport:
    """Collect every pane that has ended and is not open yet, and publish it.

    A client's bounds hold for a UTC day, over all runs into the store. In one process a run may take any panes of a day; a run
    over processes takes whole UTC days.

    Args:
        events: a `.parquet` or `.csv` file, a folder or a pattern of such files (see
            `edge_client.sources.files.paths.event_files`), or an Arrow table.
        store: the store's directory; made if it does not exist. In a project, views that name no `noisers` have the project's.
        client_column: the client of an event; with `site_column`, the identity is (site, client).
        start, end: the panes inside [start, end), UTC; default: those of the ended days that hold events.
        noise: "off" is for tests and labs: releases are marked, and the exact sums are published.
        min_clients: k instead of the views' own; it may only be larger, except with noise off.
        participation: "all": every client reports every pane, also without events; "active": only clients with an event in
            the pane report. Default: "all" if a site has one client at most (`site_clients=1`), else "active".
        site_clients: the most clients of a site. Plans contain this number and other parties see it, so it is declared and
            never derived from the events. A site with more clients is refused. Default: 100,000; "all" requires it.
        protection: "he": reports are encrypted for a key holder, and the leader adds them (docs/he.md).
        validity: "prio3": every report proves that it is within the view's bounds; other reports are rejected.
        finish: "mpc" (experimental): cells below a view's `suppress_below` are never opened (docs/mpc.md).
        report_per: "site": each site sums its clients, each bounded, and sends one report a pane (docs/cross-silo.md).
        budget: the most ρ that a client-day may cost, over all views and all runs into this store. In a project the budget
            of its covey.toml is the upper limit.
        in_process: run all roles in this process, instead of one process for each role.
        replay: the live collection that the releases stand for, and so the time from which joins can read them. "day": it takes
            the panes of a UTC day at once, after the last of them; "pane" (in one process): it takes each pane when it has ended.
        sites: over the wire and without `site_column`, the number of sites that clients are hashed to.

    Raises:
        UsageError: arguments of a wrong type, or that do not fit together. EventsError: the events cannot be used.
        OverBudget, LedgerRefusal: a client-day has too little budget left. ViewChanged, StoreInUse: of the store.
    """
    from deployment.in_process.enrolment import enrol
    from deployment.in_process.run import Surroundings, run_in_process
    from deployment.project.budgets import budget_of_text, budget_within
    from deployment.project.fleet import EventColumns
    from deployment.project.project import as_collected_in
    from deployment.project.view_forms import views_in_force
    from deployment.request import CollectionRequest
    from edge_client.events import make_events
    from edge_client.sources.files.reading import read_events
    from featurestore.online.settings import directory_of
    from federation.errors import DayBudgetSpent
    from federation.terms import Encrypted

    if min_clients is not None and (type(min_clients) is not int or min_clients < 1):
        raise UsageError(f"`min_clients` must be a whole number of at least 1, got {min_clients!r}")
    _require_site_clients(site_clients)
    dating = _dating(replay, in_process=in_process)
    requested = requested_terms(noise, protection, validity, finish, report_per, participation)
    requested_budget = budget_of_text(str(budget))
    chosen = _views(views)
    _check_types(events, store, client_column=client_column, time_column=time_column, site_column=site_column)
    directory = directory_of(Path(store))
    chosen = as_collected_in(directory, chosen)
    allowed = budget_within(directory, requested_budget)
    between = utc_range(start, end)
    table = (
        read_events(Path(events), chosen, client_column, time_column, site_column)
        if isinstance(events, str | Path)
        else events
    )
    request = CollectionRequest.make(
        chosen, requested, allowed, between=between, min_clients=min_clients, site_clients=site_clients
    )
    encrypted_for = 0
    try:
        if not in_process:
            from deployment.local.processes_run import run_over_wire

            columns = EventColumns(client_column, time_column, site_column)
            over_wire, answers = run_over_wire(request, table, directory, columns, sites=sites, progress=progress)
            return RunReport(directory, request.noise, over_wire, answers)
        made = make_events(table, client_column, time_column, site_column)
        if isinstance(request.terms, Encrypted):
            encrypted_for = enrol(made, request.site_clients).clients
        reports = run_in_process(request, made, directory, Surroundings.real(request, progress, dating=dating))
    except DayBudgetSpent as error:
        refusal = _over_budget(
            error,
            views_in_force(directory, chosen),
            allowed,
            encrypted_for,
            noisy=request.noisy,
            capped=allowed != requested_budget,
        )
        raise refusal from error
    return RunReport(directory, request.noise, reports)


def requested_terms(
    noise: str, protection: str, validity: str, finish: str, report_per: str, participation: str | None
) -> RequestedTerms:
    """The requested terms from their words, as a command line and `covey.run` spell them.

    Raises:
        UsageError: a word is unknown, or validity or report_per do not fit the protection. RunRefused: the finish does not
            fit the protection or the noise.
    """
    from federation.errors import TermsImpossible, TermUnknown
    from federation.terms import (
        Finish,
        Noise,
        Participation,
        Protection,
        ReportPer,
        RequestedTerms,
        Validity,
        parse_term,
    )

    match noise:
        case "on":
            added = Noise.FULL
        case "off":
            added = Noise.NONE
        case _:
            raise UsageError(f"unknown noise {noise!r}: it is 'on' or 'off'")
    try:
        return RequestedTerms(
            parse_term(Protection, protection),
            parse_term(Validity, validity),
            parse_term(Finish, finish),
            parse_term(ReportPer, report_per),
            None if participation is None else parse_term(Participation, participation),
            added,
        )
    except TermUnknown as error:
        raise UsageError(str(error)) from None
    except TermsImpossible as error:
        raise (RunRefused if error.term == "finish" else UsageError)(str(error)) from None


def _dating(replay: str, *, in_process: bool) -> Dating:
    """How the releases of a back-fill are dated. Raises UsageError."""
    from federation.dating import Dating

    match replay:
        case "day":
            return Dating.REPLAY_DAYS
        case "pane" if in_process:
            return Dating.REPLAY_PANES
        case "pane":
            raise UsageError(
                "replay 'pane' is for runs in one process: over processes a plan takes whole days, and its releases are dated so",
                settings=("replay", "in_process"),
            )
        case _:
            raise UsageError(f"unknown replay {replay!r}: it is 'day' or 'pane'")


def _require_site_clients(site_clients: object) -> None:
    from federation.parties import MAX_CLIENTS

    if site_clients is not None and (type(site_clients) is not int or not 1 <= site_clients <= MAX_CLIENTS):
        raise UsageError(f"`site_clients` must be a whole number from 1 to {MAX_CLIENTS:,}, got {site_clients!r}")


def _over_budget(
    error: DayBudgetSpent,
    views: Sequence[FeatureView],
    budget: Budget,
    encrypted_for: int,
    *,
    noisy: bool,
    capped: bool,
) -> OverBudget:
    """The same error with a sufficient budget, for a day on which only these views are collected.

    Args:
        encrypted_for: under `he`, the most clients; else 0.
        capped: the project's own budget applies, so a larger budget of the run changes nothing.
    """
    from featurestore.define.layout import layout_of
    from federation.he.view import leak_micro_rho
    from federation.rho import rho_text

    costs = [layout_of(view).micro_rho for view in views]
    if encrypted_for:
        costs += [leak_micro_rho(view, encrypted_for, noisy) for view in views]
    need = max(sum(costs), budget.micro_rho - error.have + error.need)
    mend = f"`budget = {rho_text(need)}` in covey.toml" if capped else f"a budget of {rho_text(need)}"
    return OverBudget(
        f"view {error.view!r} costs rho = {rho_text(error.need)} a client-day, but {date(1970, 1, 1) + timedelta(error.day)} "
        f"has {rho_text(error.have)} left of {rho_text(budget.micro_rho)}, over all views and runs into this store. Nothing "
        f"was computed. Use {mend}, or a smaller rho in the views",
        settings=() if capped else ("budget",),
    )


def resume(store: str | Path, progress: Progress = lambda *_: None) -> RunReport:
    """Continue a failed run of this store over real processes. Accepted reports are kept and count once.

    Raises:
        UsageError: the store has no failed run. RunFailed: the run failed again.
    """
    from deployment.local.processes_run import resume as resume_wire

    views, answers = resume_wire(Path(store), progress)
    return RunReport(Path(store), None, views, answers)


def _views(views: object) -> tuple[FeatureView, ...]:
    """The views to run. Each may occur once."""
    chosen = (views,) if isinstance(views, FeatureView) else tuple(views) if isinstance(views, Iterable) else (views,)
    if not chosen:
        raise UsageError("no feature view to run")
    for view in chosen:
        if not isinstance(view, FeatureView):
            raise UsageError(f"`views` takes a FeatureView or a list of them, got {view!r}")
    twice = sorted(name for name, count in Counter(view.name for view in chosen).items() if count > 1)
    if twice:
        raise UsageError(f"`views` holds {', '.join(twice)} twice; give each view once, and each its own name")
    return chosen


def _check_types(events: object, store: object, **columns: object) -> None:
    import pyarrow as pa

    if not isinstance(events, str | Path | pa.Table):
        kind = f"{type(events).__module__}.{type(events).__qualname__}"
        raise UsageError(
            f"`events` takes a .parquet, .csv or .jsonl file or a pyarrow.Table, got {kind}; convert a "
            "pandas frame with pyarrow.Table.from_pandas(frame)"
        )
    if not isinstance(store, str | Path):
        raise UsageError(f"`store` takes the path of a directory, got {store!r}")
    for name, column in columns.items():
        if not isinstance(column, str) and (name != "site_column" or column is not None):
            raise UsageError(f"`{name}` takes the name of a column, got {column!r}")


def utc_range(start: date | None, end: date | None) -> tuple[int, int] | None:
    """[start, end) in µs since the epoch, or None if neither is given. A naive time is UTC, and a date is its midnight.

    Raises:
        UsageError: only one is given, one is no date or time, or the first is not before the second.
    """
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise UsageError("a start needs an end, and an end needs a start; give both", settings=("start", "end"))
    first, last = _moment(start, "start"), _moment(end, "end")
    if first >= last:
        raise UsageError(f"the start {start} must be before the end {end}", settings=("start", "end"))
    return first, last


def _moment(moment: date, name: str) -> int:
    if not isinstance(moment, date):
        raise UsageError(f"`{name}` takes a date or a datetime, such as date(2020, 5, 1), got {moment!r}")
    return to_us(moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day))
