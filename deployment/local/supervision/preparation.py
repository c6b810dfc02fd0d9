"""What a `covey up` runs: the project's services, the sites whose events are here, and what is collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from base.times import DAY_US
from deployment.errors import UsageError
from deployment.local.service_processes import services_of
from deployment.local.unfinished_collection import Unfinished
from deployment.panes import Between
from deployment.project.fleet import SITES
from deployment.project.project import FILE, Project
from deployment.project.site_folders import configure_site
from edge_client.compute import days_with_events
from edge_client.events import make_events
from edge_client.site_config import site_files, source_in
from edge_client.sources.files.reading import read_events
from edge_client.sources.mapping import NO_COLUMNS
from edge_client.sources.open import EACH_TIME
from edge_client.sources.source import FilesSource, KafkaSource, MqttSource
from featurestore.define.definitions import FeatureView
from featurestore.define.release import Clock
from featurestore.define.views_file import load_views
from federation.plan import PlannedView, plan_from_bytes
from federation.terms import Finish, Noise, Protection, RequestedTerms

from .deployment import Deployment

_ALWAYS: Final = ("leader", "helper", "superlink", "server")
_OPTIONAL: Final = ("keyholder", "provider")


@dataclass(frozen=True)
class CollectionChoice:
    """What a starting deployment collects.

    Attributes:
        backfill: whether it first collects once.
        between: of the backfill; None: the ended days that hold an event of a site here.
        stays: whether a coordinator collects each pane when it closes.
        clock: of the backfill.
        seconds: the time that the sites have to answer.
    """

    views: Path
    backfill: bool
    between: Between | None
    stays: bool
    terms: RequestedTerms
    clock: Clock
    seconds: float

    def backfill_words(self, between: Between) -> tuple[str, ...]:
        """The arguments of `covey start coordinator`."""
        start, end = (f"{datetime.fromtimestamp(moment / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}" for moment in between)
        return (
            str(self.views.absolute()), f"--from={start}", f"--to={end}", f"--clock={self.clock}", *self.terms_words()
        )  # fmt: skip

    def terms_words(self) -> tuple[str, ...]:
        """The terms, as arguments of `covey start coordinator` and `covey collect`."""
        terms = self.terms
        words = {
            "noise": "on" if terms.noise is Noise.FULL else "off",
            "protection": terms.protection.value,
            "validity": terms.validity.value,
            "finish": terms.finish.value,
            "report-per": terms.report_per.value,
            "seconds": str(self.seconds),
        }
        if terms.participation is not None:
            words["participation"] = terms.participation.value
        return tuple(f"--{name}={word}" for name, word in words.items())


def configure_sites(
    directory: Path, sources: Sequence[str], client_column: str, time_column: str, *, allow_noise_off: bool
) -> None:
    """Write the configuration of each site whose events are given.

    Args:
        sources: `SITE=PATH` for each site; a path alone if the roster has one site.

    Raises:
        UsageError: a path without its site, or a site that is given twice or is not on the roster. EventsError, SourceAway: there
            are no events, or they lack the columns; nothing of this site was written.
    """
    for site, path in _events_by_site(Project.load(directory), sources).items():
        configure_site(
            directory,
            site,
            str(path),
            client_column,
            time_column,
            allow_noise_off=allow_noise_off,
            must_be_there=True,
        )


def deployment_of(directory: Path, choice: CollectionChoice, now_us: int) -> Deployment:
    """The deployment of a project: its services, every site that has a configuration here, and what is collected.

    The terms decide which services run.

    Raises:
        UsageError: nothing can be collected: no site has its events here, or none of their days has ended. EventsError.
            ProjectMissing, ConfigInvalid.
    """
    project = Project.load(directory)
    sites = [
        path.stem
        for path in site_files(directory / SITES)
        if any(path.stem == one.site for one in project.roster.entries)
    ]
    named = [
        name for name in _OPTIONAL if project.network.optional(name, None) is not None
    ]  # the leader waits for these
    names = dict.fromkeys((*_ALWAYS, *named, *_services(choice.terms), *_unfinished_services(directory)))
    backfill = None
    if choice.backfill:
        between = choice.between or _days_of_events(directory, project, sites, choice.views, now_us)
        backfill = choice.backfill_words(between)
    collection = choice.terms_words() if choice.stays else None
    addresses = {name: project.network.address(name) for name in names}
    return Deployment(directory.resolve(), addresses, tuple(sites), backfill, collection)


def _events_by_site(project: Project, sources: Sequence[str]) -> Mapping[str, Path]:
    roster = [one.site for one in project.roster.entries]
    found: dict[str, Path] = {}
    for source in sources:
        site, is_named, path = source.partition("=")
        if not is_named or site not in roster:
            if len(roster) > 1:
                raise UsageError(
                    f"the project has {len(roster)} sites, so each needs its own events, as SITE=PATH; {source!r} names none of "
                    f"{', '.join(roster[:4])}. `covey init --sites 1` makes a project with one site",
                    settings=("events",),
                )
            site, path = roster[0], source
        if site in found:
            raise UsageError(f"the events of site {site} are given twice", settings=("events",))
        found[site] = Path(path)
    return found


def _services(terms: RequestedTerms) -> tuple[str, ...]:
    """The services beyond those that always run."""
    holder = ("keyholder",) if terms.protection is Protection.HE else ()
    return (*holder, *(("provider",) if terms.finish is Finish.MPC else ()))


def _unfinished_services(directory: Path) -> tuple[str, ...]:
    """The services that the project's unfinished plan needs."""
    unfinished = Unfinished(directory)
    return services_of(plan_from_bytes(unfinished.load().plan)) if unfinished.folder.exists() else ()


def _days_of_events(directory: Path, project: Project, sites: Sequence[str], views: Path, now_us: int) -> Between:
    """From the first to the last ended UTC day with an event of a site here. The coordinator's operator holds these events."""
    if not sites:
        raise UsageError(
            f"no site of {directory / FILE} has its events here, so nothing can be collected. Name them",
            settings=("events",),
        )
    declared = project.with_default_noisers(load_views(views))
    days = np.unique(np.concatenate([_days(directory, site, declared) for site in sites]))
    if not len(over := days[days < now_us // DAY_US]):
        raise UsageError(
            f"none of the {len(days):,} day(s) with events has ended, so there is nothing to backfill yet. Start without it: "
            "the coordinator collects each pane when it closes",
            settings=("backfill",),
        )
    return int(over[0]) * DAY_US, (int(over[-1]) + 1) * DAY_US


def _days(directory: Path, site: str, views: Sequence[FeatureView]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    source = source_in(directory / SITES / f"{site}.toml")
    match source:
        case KafkaSource() | MqttSource():
            raise UsageError(
                f"site {site} reads the stream {source.url}, which is not read for the days that it has. Name the first and the "
                "last day",
                settings=("start", "end"),
            )
        case FilesSource(columns=columns) if columns == NO_COLUMNS:  # with the reason why a file has no usable event
            events = make_events(
                read_events(source.path, views, source.client, source.time, None), source.client, source.time
            )
            return np.concatenate([days_with_events(view, events) for view in views])
        case _:
            one = np.zeros(1, np.int64)  # the counts are of all panes, whichever a plan asks for
            with EACH_TIME.of(source, site) as opened:
                events = opened.read([PlannedView(view, one, view.privacy.min_clients) for view in views])
                return np.concatenate([events.pane_counts(view)[0] // DAY_US for view in views])
