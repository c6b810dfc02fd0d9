"""A SuperLink with Flower's TLS and node authentication, and sites that verify it by its certificate."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pyarrow.parquet as pq
import pytest
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
    RegisterNodeFleetRequest,
)
from flwr.proto.node_pb2 import Node
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from base.times import DAY_US, wall_clock
from covey.cli import call
from deployment.coordinator.planning import PlanRequest, make_plan
from deployment.local.processes import Processes
from deployment.project.project import Project
from featurestore.define.views_file import load_views
from federation.draft import with_live
from federation.keys import load_keys
from federation.live_keys import LiveSecret
from federation.node_keys import NodeKey
from federation.signed_plan import sign_plan
from tests.attacks.superlinks import certify, register, start_superlink, upload, wait_for_line
from tests.covey.conftest import VIEWS, make_events

PLAN = """
import json
from pathlib import Path
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp

server = ServerApp()
client = None

@server.main()
def main(grid, context):
    nodes = []
    while not nodes:
        nodes = list(grid.get_node_ids())
    plan = Path({plan!r}).read_bytes()
    content = RecordDict({{"plan": ConfigRecord({{"signed": plan, "encryption_keys": b""}})}})
    ids = list(grid.push_messages([Message(content, dst_node_id=node, message_type="query", ttl=60.0) for node in nodes]))
    replies = []
    while len(replies) < len(ids):
        replies += list(grid.pull_messages(ids))
    answers = [reply.content["answer"] for reply in replies]
    told = [[str(one["code"]), str(one["site"]), len(one["batches"])] for one in answers]
    result = Path(context.run_config["result"])
    result.with_suffix(".part").write_text(json.dumps({{"answers": told}}))
    result.with_suffix(".part").rename(result)
"""


class Deployed(NamedTuple):
    """A SuperLink that lets in the sites 1 and 2, and site 1 at work."""

    project: Path
    address: str
    node: int
    processes: Processes

    def client(self, key: NodeKey) -> FleetHttpClient:
        """Flower's own Fleet client with the given key."""
        certificate = (self.project / "keys" / "superlink.crt").read_bytes()
        return FleetHttpClient.from_server_address(
            self.address, False, certificate, interceptors=[NodeAuthHttpInterceptor(*key.pair())]
        )


def site(project: Path, address: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "covey", "start", "site", "1", "--project", str(project), "--superlink", address, *more,
        "--source", str(project / "events.parquet"), "--client-column", "who", "--time-column", "at",
    ]  # fmt: skip


def make_project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "views.py").write_text(VIEWS)
    pq.write_table(make_events(), folder / "events.parquet")
    assert call(["init", str(folder), "--budget", "1"]) == 0
    policy = folder / "policy.toml"
    policy.write_text(policy.read_text().replace("min_k = 50", "min_k = 2"))
    return folder


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    project = make_project(tmp_path_factory.mktemp("deployed") / "p")
    with Processes(project / "logs") as processes:
        address = start_superlink(processes, project / "superlink", *certify(project / "keys"))
        nodes = [entry.node.key.pem() for entry in Project.load(project).roster.entries if entry.node is not None]
        assert len(nodes) == 2
        register(address, project / "keys" / "superlink.crt", *nodes)
        processes.start("site-1", site(project, address))
        line = wait_for_line(processes.log("site-1"), "registered as node")
        yield Deployed(project, address, int(line.split("node ")[1].split(";")[0]), processes)


def test_nobody_acts_as_a_node_by_its_id(deployed: Deployed) -> None:
    stolen = Node(node_id=deployed.node)
    insider = load_keys(deployed.project / "keys", "site-2").node
    assert insider is not None
    for key in (NodeKey.generate(os.urandom), insider):  # the key of a stranger, and of another site, which may connect
        with deployed.client(key) as client:
            for act in (
                lambda: client.PullMessages(PullMessagesRequest(node=stolen)),
                lambda: client.PushMessages(PushMessagesRequest(node=stolen)),
                lambda: client.DeactivateNode(DeactivateNodeRequest(node_id=deployed.node)),
            ):
                assert refused(act) == 401


def test_nobody_joins_without_a_key_of_the_roster(deployed: Deployed) -> None:
    stranger, owner = NodeKey.generate(os.urandom), load_keys(deployed.project / "keys", "site-1").public.node
    assert owner is not None
    with deployed.client(stranger) as client:
        own, stolen = stranger.public.pem(), owner.key.pem()
        assert refused(lambda: client.RegisterNode(RegisterNodeFleetRequest(public_key=own))) == 412
        assert refused(lambda: client.ActivateNode(ActivateNodeRequest(public_key=own, heartbeat_interval=30))) == 412
        assert (
            refused(lambda: client.ActivateNode(ActivateNodeRequest(public_key=stolen, heartbeat_interval=30))) == 401
        )


def refused(act: Any) -> int:
    with pytest.raises(httpx.HTTPStatusError) as raised:
        act()
    return int(raised.value.response.status_code)


def signed_plan(project: Path) -> bytes:
    """The plan that the coordinator announces after both aggregators have signed live keys."""
    plan = make_plan(
        project, PlanRequest(load_views(project / "views.py"), (18_383 * DAY_US, 18_386 * DAY_US)), wall_clock
    )
    assert plan is not None
    leader, helper = (
        (load_keys(project / "keys", role).sign, LiveSecret.draw(os.urandom)) for role in ("leader", "helper")
    )
    return sign_plan(with_live(plan, leader, helper), load_keys(project / "keys", "coordinator").sign)


def test_a_plan_goes_through_an_unmodified_superlink_that_authenticates(deployed: Deployed, tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    plan.write_bytes(signed_plan(deployed.project))
    code, certificate = PLAN.format(plan=str(plan)), deployed.project / "keys" / "superlink.crt"
    assert upload(tmp_path / "app", deployed.address, code, certificate)["answers"] == [["OK", "1", 2]]
    wait_for_line(deployed.processes.log("site-1"), "OK, 2 batch(es)")


def test_a_site_talks_to_no_superlink_of_another_authority(deployed: Deployed, tmp_path: Path) -> None:
    other = make_project(tmp_path / "p")
    certify(other / "keys")  # a certificate of the same name by somebody else
    ran = subprocess.run(site(other, deployed.address), capture_output=True, text=True, timeout=300, check=False)
    assert (ran.returncode, "is not authenticated" in ran.stderr) == (1, True), ran.stderr
    assert "registered" not in ran.stderr


def test_a_site_that_the_superlink_does_not_know_says_so_with_the_mend(deployed: Deployed, tmp_path: Path) -> None:
    other = make_project(tmp_path / "p")
    crt = deployed.project / "keys" / "superlink.crt"
    (other / "keys" / "trust" / "superlink.crt").write_bytes(crt.read_bytes())
    ran = subprocess.run(site(other, deployed.address), capture_output=True, text=True, timeout=300, check=False)
    assert (ran.returncode, "does not accept this site's node key" in ran.stderr) == (1, True), ran.stderr
    assert "covey keys show site-ID --json" in ran.stderr
    assert "Traceback" not in ran.stderr
