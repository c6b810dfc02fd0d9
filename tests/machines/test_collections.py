"""Collections between machines: exact values whatever the network does, and nothing is lost or doubled."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest

from tests.machines.flights import VIEW, reports_of, rows_of
from tests.machines.machine import Done
from tests.machines.operators import PROJECT, Operators
from tests.machines.proxy import Delay, Pass, Proxy, Stall
from tests.waiting import wait_until

KEPT = "batches stay stored and are sent to the helper again later"
"""What the leader says when it could not reach the helper."""


def require_exact(deployed: Operators, exact: pa.Table, done: Done, first: int, days: int = 1) -> None:
    """The collection has opened every pane of the days, and the store has their exact values, each once."""
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert {site: one["state"] for site, one in result["sites"].items()} == dict.fromkeys(("DL", "UA"), "answered")
    assert result["views"][VIEW]["opened"] == days
    assert result["rejected"] == {}
    found = rows_of(deployed.values(), days, first)
    assert found == rows_of(exact, days, first)
    assert sum(row["planes"] for row in found) > 20 * days


def require_counted_once(deployed: Operators, days: int) -> None:
    """After so many days: every party was charged for each day once, and each pane has one verified release."""
    ledgers = [deployed.ledger(machine) for machine in (deployed.leader, deployed.helper, deployed.one, deployed.two)]
    charges = [day["micro_rho"] for (ledger,) in ledgers for day in ledger["days"]]
    assert charges == [{VIEW: charges[0][VIEW]}] * (len(ledgers) * days)
    verified = json.loads(deployed.link.types(f"covey release verify --all --project {PROJECT} --json").out)
    assert [one["state"] for one in verified["releases"]] == ["verified"] * days


@contextmanager
def while_collecting(deployed: Operators, act: Callable[[], None]) -> Iterator[None]:
    """Act in a thread as soon as a plan is announced."""
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            wait_until((deployed.unfinished() / "announced.json").is_file)
            act()
        except BaseException as error:  # noqa: BLE001 - raised in the test
            failed.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failed:
        raise failed[0]


def reset_when_connected(proxy: Proxy) -> int:
    """Reset a proxy's connections as soon as there is one. Returns their number."""
    wait_until(lambda: proxy.connected > 0)
    return proxy.reset()


def test_a_week_from_two_sites_has_the_values_of_a_run_in_one_process(deployed: Operators, exact: pa.Table) -> None:
    first = deployed.next_days(7)
    require_exact(deployed, exact, deployed.collect(first, 7), first, 7)


def test_slow_stalled_and_reset_connections_change_no_value(deployed: Operators, exact: pa.Table) -> None:
    first = deployed.next_days()
    waited_for = deployed.to_leader, deployed.to_superlink  # the collection cannot go on without these links
    reset: list[int] = []

    def disturb() -> None:
        held = [proxy.held for proxy in waited_for]
        for proxy in deployed.proxies:
            proxy.mode = Stall()
        wait_until(lambda: all(proxy.held > before for proxy, before in zip(waited_for, held, strict=True)))
        for _ in range(2):
            reset.extend(reset_when_connected(proxy) for proxy in waited_for)
            for proxy in deployed.proxies:
                proxy.mode = Delay(0.05)

    for proxy in deployed.proxies:
        proxy.mode = Delay(0.05)
    try:
        with while_collecting(deployed, disturb):
            done = deployed.collect(first, seconds=120)
    finally:
        for proxy in deployed.proxies:
            proxy.mode = Pass()
    require_exact(deployed, exact, done, first)
    assert len(reset) == 2 * len(waited_for)
    assert min(reset) >= 1, reset


def test_a_partition_between_leader_and_helper_heals(deployed: Operators, exact: pa.Table) -> None:
    first = deployed.next_days()
    kept, accepted = deployed.leader.log("leader").count(KEPT), deployed.accepted_reports()

    def cut() -> None:
        deployed.network.cut("helper")
        try:
            deployed.to_helper.reset()  # else the leader notices by its pings, after 20 s
            deployed.leader.wait_until_says("leader", KEPT, times=kept + 1)
        finally:
            deployed.network.heal("helper")

    with while_collecting(deployed, cut):
        done = deployed.collect(first, seconds=120)
    require_exact(deployed, exact, done, first)
    require_counted_once(deployed, first + 1)
    counted = {role: now - accepted[role] for role, now in deployed.accepted_reports().items()}
    assert counted == dict.fromkeys(("leader", "helper"), reports_of(first))


@pytest.mark.long
def test_connections_that_die_in_silence_are_noticed(deployed: Operators, exact: pa.Table) -> None:
    first = deployed.next_days(2)
    require_exact(deployed, exact, deployed.collect(first), first)  # afterwards the leader is connected to the helper
    frozen, accepted = list[int](), [proxy.accepted for proxy in deployed.proxies]

    def freeze() -> None:
        wait_until(lambda: all(proxy.connected for proxy in deployed.proxies))
        accepted[:] = [proxy.accepted for proxy in deployed.proxies]
        frozen.extend(proxy.freeze() for proxy in deployed.proxies)

    with while_collecting(deployed, freeze):
        done = deployed.collect(first + 1, seconds=120)
    require_exact(deployed, exact, done, first + 1)
    assert min(frozen) >= 1, frozen
    assert all(proxy.accepted > before for proxy, before in zip(deployed.proxies, accepted, strict=True))
