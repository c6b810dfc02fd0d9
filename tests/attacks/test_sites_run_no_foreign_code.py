"""An outsider who reaches a SuperLink can send an app to its sites. A site of a real deployment executes none of it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from covey.cli import call
from deployment.local.processes import Processes
from tests.attacks.superlinks import start_superlink, upload, wait_for_line
from tests.covey.conftest import VIEWS, make_events

ROOT = Path(__file__).resolve().parents[2]

EVIL = """
import json
from pathlib import Path
from flwr.app import ArrayRecord, Array, ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
import numpy as np

PROJECT = Path({project!r})
client = ClientApp()
server = ServerApp()

def steal(message, context):
    (PROJECT / "marker").write_text("the outsider's code ran here")
    loot = {{"key": (PROJECT / "keys" / "site-1.key").read_text(), "events": (PROJECT / "events.parquet").read_bytes()[:64]}}
    return Message(RecordDict({{"answer": ConfigRecord({{"code": "OK", "site": "1", **loot}})}}), reply_to=message)

client.query()(steal)
client.train()(steal)

def many():
    return RecordDict({{"plan": ArrayRecord([np.full(1, i) for i in range(50)])}})

def large():
    return RecordDict({{"plan": ConfigRecord({{"signed": bytes(33 * 2**20)}})}})

@server.main()
def main(grid, context):
    nodes = []
    while not nodes:
        nodes = list(grid.get_node_ids())
    messages = [
        ("query", RecordDict()), ("train", RecordDict()), ("query", many()), ("query", large()),
        ("query", RecordDict({{"plan": ConfigRecord({{"signed": "text"}})}})),
    ]
    told = []
    for kind, content in messages:
        ids = list(grid.push_messages([Message(content, dst_node_id=nodes[0], message_type=kind, ttl=60.0)]))
        replies = []
        while not replies:
            replies = list(grid.pull_messages(ids))
        told.append({{k: str(v) for k, v in replies[0].content["answer"].items()}} if replies[0].has_content() else str(replies[0].error))
    result = Path(context.run_config["result"])
    result.with_suffix(".part").write_text(json.dumps({{"answers": told}}))
    result.with_suffix(".part").rename(result)
"""


class Attacked(NamedTuple):
    project: Path
    answers: list[object]
    log: str


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A project whose one site received the outsider's app: the answers that the app received, and the site's log."""
    project = tmp_path_factory.mktemp("project")
    (project / "views.py").write_text(VIEWS)
    pq.write_table(make_events(), project / "events.parquet")
    assert call(["init", str(project), "--sites", "1"]) == 0
    site = [
        sys.executable, "-m", "covey", "start", "site", "1", "--project", str(project), "--insecure",
        "--source", str(project / "events.parquet"), "--client-column", "who", "--time-column", "at",
    ]  # fmt: skip
    with Processes(project / "logs") as processes:
        address = start_superlink(processes, project / "superlink")
        processes.start("site-1", [*site, "--superlink", address])
        brought = upload(project / "app", address, EVIL.format(project=str(project)))
        processes.require_running("site-1")
        yield Attacked(project, brought["answers"], processes.log("site-1").read_text())


def test_nothing_of_an_app_that_an_outsider_sends_runs_on_a_site(attacked: Attacked) -> None:
    assert not (attacked.project / "marker").exists()
    assert attacked.answers == [{"code": "NOT_A_PLAN", "site": "1", "batches": "[]"}] * 5


def test_the_site_says_in_its_log_what_it_refused(attacked: Attacked) -> None:
    refused = [line for line in attacked.log.splitlines() if "refused a message that is not a plan, NOT_A_PLAN" in line]
    for line, why in zip(
        refused,
        (
            "it holds no signed plan",
            "its type is 'train'",
            "it has more than 8 objects",
            "bytes",
            "no signed plan",
        ),
        strict=True,
    ):
        assert why in line
        assert line.count("Nothing of it was executed") == 1
    assert "Traceback" not in attacked.log


def test_the_product_starts_no_supernode_and_has_no_call_that_asks_for_an_app() -> None:
    rooms = ("covey", "simulations", "training", "deployment", "edge_client", "aggregator")
    rooms += ("federation", "crypto", "featurestore", "base")
    for path in (path for room in rooms for path in (ROOT / room).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for word in ("flower-supernode", "flwr.supernode", "GetFab", "get_fab", "get-fab"):
            assert word not in text, (path, word)


_WITHOUT_RAY = """
import importlib.abc, sys
class Forbid(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "ray":
            raise ModuleNotFoundError("no ray at a site", name=name)
sys.meta_path.insert(0, Forbid())
from covey.cli import main
main()
"""


def test_a_site_needs_no_ray(attacked: Attacked, tmp_path: Path) -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert any(one.startswith("flwr>=") for one in needed)
    assert not any("ray" in one or "simulation" in one for one in needed)
    arguments = ["start", "site", "1", "--project", str(attacked.project), "--superlink", "127.0.0.1:1", "--insecure"]
    log = tmp_path / "log"
    with log.open("w") as file:
        site = subprocess.Popen([sys.executable, "-c", _WITHOUT_RAY, *arguments], stdout=file, stderr=file, cwd=ROOT)
        try:
            wait_for_line(log, "127.0.0.1:1 does not answer")
        finally:
            site.terminate()
        assert site.wait(30) == 0
    assert log.read_text().splitlines()[-1].endswith("site 1: stopped")
