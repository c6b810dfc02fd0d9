"""A running SuperLink admits a site that joins the roster, and no other node."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aggregator.errors import SuperLinkUnusable
from base.tls.roles import TlsRole
from base.tls.trust import TrustFile
from deployment.local import node_admission
from deployment.local.node_admission import NodeAdmission, nodes_of
from deployment.local.processes import Processes
from deployment.project.project import Project
from edge_client.errors import NodeKeyUnknown
from edge_client.fleet_client import FleetClient, SuperLink
from federation.keys import load_keys
from tests.deployment.deployed import start_superlink

pytest.importorskip("flwr")

Covey = Callable[..., tuple[int, str, str]]


def wait_for(log: Path, text: str) -> None:
    end = time.monotonic() + 180
    while text not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


def test_the_former_node_key_of_a_site_is_admitted_until_its_change_over(covey: Covey, project: Path) -> None:
    assert covey("init", project, "--sites", 2)[0] == 0
    before = nodes_of(Project.load(project), 0)
    assert covey("keys", "rotate", "site-1", "--project", project)[0] == 0
    after, keys = Project.load(project), load_keys(project / "keys", "site-1")
    (former,) = keys.former
    pems = {keys.node.public.pem(), former.keys.node.public.pem()}  # type: ignore[union-attr]
    assert set(nodes_of(after, former.until_us).values()) - set(before.values()) == pems - set(before.values())
    assert pems <= set(nodes_of(after, former.until_us).values())
    assert set(nodes_of(after, former.until_us + 1)) == {"1", "2"}
    assert nodes_of(after, former.until_us + 1)["1"] == keys.node.public.pem()  # type: ignore[union-attr]
    assert keys.at(former.until_us).node is former.keys.node


def test_an_edit_is_tried_again_if_the_superlink_did_not_answer(
    covey: Covey, project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert covey("init", project, "--sites", 3)[0] == 0
    everybody = nodes_of(Project.load(project), 0)
    admission = NodeAdmission(project, project, {site: everybody[site] for site in ("1", "2")})
    registered = list[bytes]()
    monkeypatch.setattr(node_admission, "register_nodes", lambda _, keys: registered.extend(keys))
    admission.begin()
    os.utime(project / "covey.toml")

    def away(*_: object) -> None:
        raise SuperLinkUnusable("the SuperLink does not answer")

    with monkeypatch.context() as silent:
        silent.setattr(node_admission, "register_nodes", away)
        admission.take_up_edit()
        admission.take_up_edit()
    assert caplog.text.count("the SuperLink does not answer") == 1
    assert admission.nodes == 2
    admission.take_up_edit()
    assert admission.nodes == 3
    assert set(registered) == set(everybody.values())


def test_a_site_that_joins_the_roster_may_connect_without_a_restart(covey: Covey, project: Path) -> None:
    assert covey("init", project, "--sites", 3)[0] == 0
    toml, keys = project / "covey.toml", project / "keys"
    everybody = toml.read_text()
    head, *sites = everybody.split("\n[[site]]")
    two = "\n[[site]]".join([head, *sites[:2]]) + "\n"
    toml.write_text(two)
    node = load_keys(keys, "site-3").node
    assert node is not None
    with Processes(project / "logs") as processes:
        address = start_superlink(project, processes)
        log = processes.log("superlink")
        assert "for 2 site(s)" in log.read_text()
        with FleetClient(SuperLink(address, TrustFile(keys, TlsRole.SUPERLINK)), node) as client:
            with pytest.raises(NodeKeyUnknown):
                client.join()
            toml.write_text(everybody.replace("max_clients = ", "max_client = ", 1))
            wait_for(log, "The roster before this edit stays in force")
            with pytest.raises(NodeKeyUnknown):
                client.join()
            toml.write_text(everybody)
            wait_for(log, "the roster has changed: 3 may connect")
            client.join()
            client.leave()
        toml.write_text(two)
        wait_for(log, "the roster has changed: 3 left it")
