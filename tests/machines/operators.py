"""A deployment of four operators on machines of their own, by the commands of docs/operate.md as written, but for addresses.

hub       machine   role
10.77.0.1 leader    leader                      the first operator of an aggregator
          helper    helper                      the second
          link      SuperLink, coordinator,     the operator who collects
                    collector, feature server
          one, two  site DL, site UA            two airlines
          reader                                reads the feature server
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from base.metrics import REPORTS
from simulations.datasets.flights import CLIENT_COLUMN, TIME_COLUMN
from tests.machines.flights import FIRST, SITES, VIEW, VIEWS, values_of, write_events
from tests.machines.machine import Done, Machine
from tests.machines.namespaces import HUB, Network
from tests.machines.proxy import Proxy

PROJECT: Final = "mine"
LEADER, HELPER, SUPERLINK, SERVER, MONITOR = 7301, 7302, 8000, 6566, 9464
AGGREGATOR: Final = ("--project", PROJECT, "--host", "0.0.0.0", "--monitor", f"127.0.0.1:{MONITOR}")


class Operators:
    """The machines of a deployment. Links that a test disturbs go through a proxy, which passes everything at first."""

    def __init__(self, network: Network, folder: Path, stack: ExitStack) -> None:
        self.network, self._days = network, 0
        self.leader, self.helper, self.link, self.one, self.two, self.reader = (
            Machine(network, name, folder / name) for name in ("leader", "helper", "link", "one", "two", "reader")
        )
        for machine in self.machines:
            stack.callback(machine.stop_all)
        self.sites = dict(zip(SITES, (self.one, self.two), strict=True))
        self.to_leader, self.to_helper, self.to_superlink = (
            stack.enter_context(network.proxy_to(target))
            for target in (self.leader.at(LEADER), self.helper.at(HELPER), self.link.at(SUPERLINK))
        )

    def next_days(self, days: int = 1) -> int:
        """The number of the first of some days that no test has collected. Windows sum the days before."""
        self._days += days
        return self._days - days

    def give_back(self) -> None:
        """Nothing was collected: the day that was taken last is the next one again."""
        self._days -= 1

    @property
    def machines(self) -> tuple[Machine, ...]:
        """All machines."""
        return self.leader, self.helper, self.link, self.one, self.two, self.reader

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """Coordinator to leader, leader to helper, site UA to SuperLink."""
        return self.to_leader, self.to_helper, self.to_superlink

    def make_keys(self) -> None:
        """Each operator makes keys and certificates. Sites reach the SuperLink at its machine, or through the proxy."""
        hub = self.network.address(HUB)
        names = {
            "leader": f" --name {self.leader.address}",
            "helper": f" --name {self.helper.address}",
            "coordinator": f" --name {self.link.address} --name {hub}",
        }
        of = [(self.leader, ("leader",)), (self.helper, ("helper",)), (self.link, ("coordinator", "collector"))]
        of += [(machine, (f"site-{site}",)) for site, machine in self.sites.items()]

        def make(machine: Machine, roles: tuple[str, ...]) -> None:
            for role in roles:
                machine.types(f"covey keys init {role} --project {PROJECT}{names.get(role, '')}")

        at_once(lambda item: make(*item), of)

    def exchange_keys(self) -> None:
        """Each operator gets the public keys of all others, and makes a project."""
        public = [path for machine in self.machines for path in sorted((machine.home / PROJECT / "keys").glob("*.pub"))]

        def make(machine: Machine) -> None:
            for path in public:
                shutil.copy(path, machine.home / path.name)
            files = " ".join(f"--public {path.name}" for path in public)
            machine.types(f"covey init {PROJECT} --name flights {files}")

        at_once(make, [machine for machine in self.machines if machine is not self.reader])

    def say_where_roles_are(self) -> None:
        """Each operator writes the addresses by which their machine reaches the others."""
        superlink, leader, helper = self.link.at(SUPERLINK), self.leader.at(LEADER), self.helper.at(HELPER)
        reached = {
            self.leader: {"leader": leader, "helper": self.to_helper.address},
            self.helper: {"helper": helper},
            self.link: {"leader": self.to_leader.address, "helper": helper, "superlink": superlink},
            self.sites["DL"]: {"superlink": superlink},
            self.sites["UA"]: {"superlink": self.to_superlink.address},
        }
        for machine, addresses in reached.items():
            lines = [f'{role} = "{address}"' for role, address in addresses.items()]
            with (machine.home / PROJECT / "covey.toml").open("a") as file:
                file.write("\n".join(["", "[network]", *lines, ""]))

    def agree(self) -> None:
        """The operators' settings: exact sums are allowed in this test, and small counts."""
        for machine in (self.leader, self.helper):
            edit(machine.home / PROJECT / "covey.toml", "allow_noise_off = false", "allow_noise_off = true")
        for machine in self.sites.values():
            policy = machine.home / PROJECT / "policy.toml"
            edit(policy, "allow_noise_off = false", "allow_noise_off = true")
            edit(policy, "allow_activity_visible = false", "allow_activity_visible = true")
            edit(policy, "min_k = 50", "min_k = 10")
        (self.link.home / "views.py").write_text(VIEWS)
        for site, machine in self.sites.items():
            write_events(site, machine.home / "events.parquet")

    def start(self) -> None:
        """Start every role."""
        self.start_superlink()
        self.start_helper()
        self.start_leader()
        for site in SITES:
            self.start_site(site)
        self.wait_until_ready()

    def start_superlink(self) -> None:
        self.link.start("superlink", "start", "superlink", "--project", PROJECT, "--host", "0.0.0.0")

    def start_helper(self, **options: Any) -> None:
        self.helper.start("helper", "start", "helper", *AGGREGATOR, **options)

    def start_leader(self, **options: Any) -> None:
        self.leader.start("leader", "start", "leader", *AGGREGATOR, **options)

    def start_site(self, site: str, **options: Any) -> None:
        events = ("--source", "events.parquet", "--client-column", CLIENT_COLUMN, "--time-column", TIME_COLUMN)
        self.sites[site].start("site", "start", "site", site, "--project", PROJECT, *events, **options)

    def wait_until_ready(self) -> None:
        """Wait until aggregators and SuperLink listen and the sites are registered."""
        for role, machine in (("superlink", self.link), ("helper", self.helper), ("leader", self.leader)):
            machine.wait_until_says(role, "listens on")
        for machine in self.sites.values():
            machine.wait_until_says("site", "registered as node")

    def collect(self, day: int, days: int = 1, *more: Any, seconds: int = 60, **options: Any) -> Done:
        """Collect days from the day number `day` of the year on; `more`: further options of the command."""
        return self.link.covey(*self.collecting(day, days, *more, seconds=seconds), **options)

    def collecting(self, day: int, days: int = 1, *more: Any, seconds: int = 60) -> tuple[str, ...]:
        """The command with which the coordinator's operator collects days."""
        begin = FIRST + timedelta(day)
        words = (
            "start", "coordinator", "views.py", "--project", PROJECT, "--from", begin.date(),
            "--to", (begin + timedelta(days)).date(), "--clock", "replay", "--noise", "off", "--json",
            "--seconds", seconds, *more,
        )  # fmt: skip
        return tuple(map(str, words))

    def values(self) -> pa.Table:
        """What the coordinator's store has, by pane and key."""
        out = self.link.home / "history.parquet"
        out.unlink(missing_ok=True)
        self.link.types(f"covey history {VIEW} --store {PROJECT} --out history.parquet")
        return values_of(pq.read_table(out))

    def ledger(self, machine: Machine) -> list[dict[str, Any]]:
        """The ledgers on a machine, as `covey ledger show` shows them."""
        shown = machine.types(f"covey ledger show --project {PROJECT} --json")
        found: list[dict[str, Any]] = json.loads(shown.out)["ledgers"]
        return found

    def accepted_reports(self) -> dict[str, int]:
        """How many reports leader and helper have accepted since they started, as their monitors count them."""
        return {
            role: _accepted_reports(machine) for role, machine in (("leader", self.leader), ("helper", self.helper))
        }

    def unfinished(self) -> Path:
        """The folder of the coordinator's plan, while it is not finished."""
        return self.link.home / PROJECT / "roles" / "coordinator" / "unfinished"


@contextmanager
def operators(network: Network, folder: Path) -> Iterator[Operators]:
    """Machines with keys and projects whose roles run."""
    with ExitStack() as stack:
        made = Operators(network, folder, stack)
        made.make_keys()
        made.exchange_keys()
        made.say_where_roles_are()
        made.agree()
        made.start()
        yield made


def _accepted_reports(machine: Machine) -> int:
    with closing(machine.connect(f"127.0.0.1:{MONITOR}")) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    assert answer.startswith("HTTP/1.1 200"), answer  # there is no line of a verdict before the first report
    counted = re.findall(rf'^{REPORTS.name}{{verdict="accepted"}} (\d+)', answer, flags=re.M)
    return sum(map(int, counted))


def at_once(call: Any, items: list[Any]) -> None:
    """Call for each item, at the same time: the operators do not wait for each other."""
    with ThreadPoolExecutor(len(items)) as pool:
        list(pool.map(call, items))


def edit(file: Path, before: str, after: str) -> None:
    """Edit a setting."""
    text = file.read_text()
    assert before in text, (file, before)
    file.write_text(text.replace(before, after))
