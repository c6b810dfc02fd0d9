"""Flights through a broker to real sites, day by day: what is served equals the oracle over the file, exactly.

In between a site is killed, the broker stands still, records come twice, cannot be read, or come too late.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from base.errors import DONE, INCOMPLETE
from deployment.local.processes import Processes
from deployment.project.fleet import SITES
from deployment.project.init import make
from edge_client.event_log.log import EventLog
from edge_client.ledger import read_late_events
from featurestore.define.views_file import load_views
from featurestore.store import Store
from federation.ledger.state import Budget
from tests.brokers import KafkaBroker, kafka_broker
from tests.deployment.deployed import start_superlink, words
from tests.deployment.moved_clock import MovedClock
from tests.deployment.streamed_flights import CARRIERS, COLUMNS, VIEWS, Record, Replay, replay
from tests.deployment.test_deployment import start_services
from tests.deployment.two_sites import change
from tests.oracle import oracle
from tests.pipeline import assert_equal_to_oracle
from tests.waiting import wait_until

pytest.importorskip("flwr")

Covey = Callable[..., tuple[int, str, str]]
CLIENTS: Final = 700
TOPIC: Final = "flights"
SITE: Final = """
site = "{site}"
clients = {clients}
keys = "../keys"
ledger = "../ledgers/site-{site}.db"
policy = "../policy.toml"

[source]
client = "tailnum"
time = "departed_at"
event_id = "flight"
wait = "60s"
"""


class Streaming:
    """A project of four sites whose roles run, and a topic with a partition of each site."""

    def __init__(
        self, covey: Covey, project: Path, processes: Processes, broker: KafkaBroker, sites: Sequence[str]
    ) -> None:
        self.covey, self.project, self.processes = covey, project, processes
        self.at = ["--project", str(project)]
        self.broker, self.sites = broker, sites
        self.pids: dict[str, int] = {}
        self.names: dict[str, str] = {}
        self.starts = 0
        make(project, "flights", sites, CLIENTS, Budget(1_000_000))
        change(project / "policy.toml", "min_k = 50", "min_k = 2")
        change(project / "policy.toml", "time_columns = []", 'time_columns = ["arrived_at"]')
        for file in ("policy.toml", "covey.toml"):
            change(project / file, "allow_noise_off = false", "allow_noise_off = true")
        (project / "views.py").write_text(VIEWS)
        self.views = load_views(project / "views.py")
        (project / SITES).mkdir(mode=0o700)
        for number, site in enumerate(sites):
            stream = f'url = "kafka://{broker.address}/{TOPIC}"\npartitions = [{number}]\n'
            log = f'\n[source.log]\npath = "{site}.log"\n'
            text = SITE.format(site=site, clients=CLIENTS) + stream + COLUMNS + log
            (project / SITES / f"{site}.toml").write_text(text)
            (project / SITES / f"{site}.toml").chmod(0o600)

    def start(self) -> None:
        self.ports = start_services(self.project, self.processes)
        self.superlink = start_superlink(self.project, self.processes)
        self.start_sites(*self.sites)

    def start_sites(self, *sites: str) -> None:
        """Start sites, and wait until each is registered."""
        for site in sites:
            self.starts += 1
            self.names[site] = f"site-{site}-{self.starts}"
            command = words("start", "site", site, *self.at, "--superlink", self.superlink)
            self.pids[site] = self.processes.start(self.names[site], command)

        def registered(site: str) -> bool:
            self.processes.require_running(self.names[site])
            return "registered as node" in self.processes.log(self.names[site]).read_text()

        wait_until(lambda: all(map(registered, sites)))

    def end_sites(self) -> None:
        """By SIGTERM: each ends its consumer, closes its log, and says so."""
        for pid in self.pids.values():
            os.kill(pid, signal.SIGTERM)
        for name in self.names.values():
            wait_until(lambda name=name: self.processes.exit_status(name) is not None)  # type: ignore[misc]
            assert self.processes.log(name).read_text().endswith(": stopped\n"), self.processes.last_line(name)

    def kill_site(self, site: str) -> None:
        os.kill(self.pids.pop(site), signal.SIGKILL)

    def produce(self, records: Sequence[Record]) -> None:
        """Returns when the broker has them all."""
        self.broker.produce(TOPIC, [(self.sites.index(one.site), None, one.value) for one in records])

    def collect(self, day: date, *, seconds: int = 60, absent: Sequence[str] = ()) -> None:
        """Collect a day, which has ended. All sites answer but those that are absent."""
        code, out, err = self.covey(
            "collect", *self.at, "--noise", "off", "--json", "--from", day, "--to", day + timedelta(1), "--seconds", seconds,
            "--leader", f"127.0.0.1:{self.ports['leader']}", "--helper", f"127.0.0.1:{self.ports['helper']}",
        )  # fmt: skip
        assert code == (INCOMPLETE if absent else DONE), (out, err)
        answered = {site for site, one in json.loads(out)["sites"].items() if one["code"] == "OK"}
        assert answered == set(self.sites) - set(absent), out

    @contextmanager
    def once_planned(self, happens: Callable[[], None]) -> Iterator[None]:
        """In this block something happens when the coordinator keeps a plan, before it is announced."""
        plan = self.project / "roles" / "coordinator" / "unfinished" / "job.json"

        def wait() -> None:
            try:
                wait_until(plan.is_file)
            finally:
                happens()

        thread = threading.Thread(target=wait)
        thread.start()
        yield
        thread.join()

    def signal_broker(self, number: signal.Signals) -> None:
        assert self.broker._process is not None
        self.broker._process.send_signal(number)


@pytest.mark.parametrize(
    ("days", "share", "sites"),
    [(3, 0.4, CARRIERS[:2]), pytest.param(31, 1.0, CARRIERS, marks=pytest.mark.long)],
    ids=["three days", "a month"],
)
def test_flights_through_kafka_equal_those_of_the_file(
    covey: Covey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, share: float, sites: Sequence[str]
) -> None:
    clock, first = MovedClock(tmp_path / "moved", monkeypatch), datetime.now(UTC).date() - timedelta(days)
    flights = replay(days, first, share, sites)
    clock.move(moment(first, hours=1))
    project = tmp_path / "flights"
    with kafka_broker() as broker, Processes(tmp_path / "logs") as processes:
        broker.create(TOPIC, len(sites))
        streaming = Streaming(covey, project, processes, broker, sites)
        assert covey("apply", project / "views.py", *streaming.at, "--yes")[0] == DONE
        streaming.start()
        for number, records in enumerate(flights.days):
            day = first + timedelta(number)
            clock.move(moment(day, hours=18))
            half, site = len(records) // 2, sites[number % len(sites)]
            streaming.produce(records[:half])
            if number % 4 == 1:  # a site is killed while it reads
                streaming.kill_site(site)
            streaming.produce(records[half:])
            if number % 4 == 1:
                streaming.start_sites(site)
            clock.move(moment(day + timedelta(1), minutes=10))
            if number % 4 == 2:  # the broker stands still when the plan comes, and the sites wait for it
                streaming.signal_broker(signal.SIGSTOP)
                with streaming.once_planned(lambda: streaming.signal_broker(signal.SIGCONT)):
                    streaming.collect(day)
            elif number % 4 == 3:  # a site is killed before it answers, and the day is attempted again
                with streaming.once_planned(lambda site=site: streaming.kill_site(site)):  # type: ignore[misc]
                    streaming.collect(day, seconds=10, absent=[site])
                streaming.start_sites(site)
                streaming.collect(day)
            else:
                streaming.collect(day)
        streaming.end_sites()
        check(streaming, flights)


def moment(day: date, **later: int) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(**later)


def check(streaming: Streaming, flights: Replay) -> None:
    """Every value equals the oracle's over the file, and each site counted what was wrong with its stream."""
    since = (flights.first - date(1970, 1, 1)).days
    with Store.open(streaming.project) as store:
        for view in streaming.views:
            expected = oracle(
                view,
                flights.counted(),
                client_column="tailnum",
                time_column="departed_at",
                site_column="carrier",
                days=range(since, since + len(flights.days)),
                min_clients=view.privacy.min_clients,
            )
            history, feature = store.history(view.name), view.features[0].name
            opened = set(expected.filter(pc.field(feature).is_valid())["pane_start"].to_pylist())
            assert set(history["pane_start"].to_pylist()) == opened
            assert len(opened) >= len(flights.days)
            expected = expected.filter(pc.is_in(expected["pane_start"], pa.array(opened, expected["pane_start"].type)))
            assert_equal_to_oracle(history, expected, list(view.entity.columns))
    assert any(flights.late)
    for site in streaming.sites:
        with EventLog.existing(streaming.project / SITES / f"{site}.log") as log:
            life = log.counts().life
        sent = sum(one.site == site for records in flights.days for one in records)
        bad, repeated = flights.bad(site), flights.repeated(site)
        assert life.future > 0
        assert (life.bad, life.duplicates, life.kept, life.lost) == (bad, repeated, sent - bad - repeated, 0), site
        late = read_late_events(streaming.project / "ledgers" / f"site-{site}.db", site)
        of_view = {view.name: flights.late_of(site) for view in streaming.views}
        assert late == {view: events for view, events in of_view.items() if events}, site
