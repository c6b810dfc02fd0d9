"""A site as a Fleet client of its own, beside Flower's SuperNode with the same answering code, which starts a process a message.

Both check the site's files before they connect; the SuperNode, which knows nothing of them, is started after that. Both
answer a plan that nobody signed: what is measured is the way, and no computing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from base.ports import free_port
from covey.cli import call
from deployment.local.processes import Processes, script
from deployment.project.fleet import SITES
from deployment.project.site_folders import configure_site
from edge_client.flower_app import SITES_VARIABLE

MESSAGES: Final = 3
_ENVIRONMENT: Final = {
    "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "PYTHONUNBUFFERED": "1",
}
_CHECKED: Final = """
import os, sys
from pathlib import Path
from edge_client.site_config import load_config
load_config(Path(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""
_APP: Final = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "way"
version = "1.0.0"
description = "Asks each site a few times."
license = "Apache-2.0"

[tool.flwr.app]
publisher = "covey"

[tool.flwr.app.components]
serverapp = "ask:server"
clientapp = "edge_client.flower_app:app"

[tool.flwr.app.config]
result = ""
"""
_ASK: Final = f"""
import json, time
from pathlib import Path
from statistics import median
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import ServerApp

server = ServerApp()

@server.main()
def main(grid, context):
    found = {{}}
    for node in grid.get_node_ids():
        seconds = []
        for _ in range({MESSAGES}):
            content = RecordDict({{"plan": ConfigRecord({{"signed": b"unsigned"}})}})
            begin = time.perf_counter()
            ids = list(grid.push_messages([Message(content, dst_node_id=node, message_type="query", ttl=300.0)]))
            while not (replies := list(grid.pull_messages(ids))):
                time.sleep(0.02)
            seconds.append(time.perf_counter() - begin)
            assert replies[0].content["answer"]["code"] == "PLAN_UNSIGNED"
        found[replies[0].content["answer"]["site"]] = median(seconds)
    result = Path(context.run_config["result"])
    result.with_suffix(".part").write_text(json.dumps(found))
    result.with_suffix(".part").rename(result)
"""


def compare_sites() -> dict[str, dict[str, float]]:
    """Seconds until a site is registered, and the median seconds of an answer: `site` is Covey's, `supernode` Flower's."""
    with tempfile.TemporaryDirectory(prefix="covey-way-site-") as scratch:
        project = Path(scratch) / "p"
        if call(["init", str(project), "--site", "site", "--site", "supernode"]) != 0:
            raise RuntimeError("no project could be made")
        events = project / "events.parquet"
        pq.write_table(pa.table({"who": ["a"], "at": pa.array([0], pa.timestamp("us", "UTC"))}), events)
        for name in ("site", "supernode"):
            configure_site(project, name, str(events), "who", "at", allow_noise_off=False)
        with Processes(project / "logs") as processes:
            return _measure(project, processes)


def _measure(project: Path, processes: Processes) -> dict[str, dict[str, float]]:
    port = free_port()
    environment = {**_ENVIRONMENT, "FLWR_HOME": str(project / "flower"), SITES_VARIABLE: str(project / SITES)}
    superlink = [script("flower-superlink"), "--insecure", "--disable-runtime-dependency-installation"]
    processes.start("superlink", [*superlink, "--port", str(port)], environment)
    processes.wait_for_port("superlink", port, 60)
    address = ["--superlink", f"127.0.0.1:{port}", "--insecure"]
    site = [sys.executable, "-m", "covey", "start", "site", "site", "--project", str(project), *address]
    files = project / SITES / "supernode.toml"
    flower = [script("flower-supernode"), *address, "--port", str(free_port()), "--node-config", 'site="supernode"']
    supernode = [sys.executable, "-c", _CHECKED, str(files), *flower]
    started = {}
    for name, command, line in (("site", site, "registered as node"), ("supernode", supernode, "SuperNode ID:")):
        begin = time.perf_counter()
        processes.start(name, command, environment)
        while line not in processes.log(name).read_text():
            processes.require_running(name)
            time.sleep(0.02)
        started[name] = time.perf_counter() - begin
    answered = _ask(project, port, environment)
    return {name: {"start_s": round(started[name], 2), "answer_s": round(answered[name], 2)} for name in started}


def _ask(project: Path, port: int, environment: dict[str, str]) -> dict[str, float]:
    app, result = project / "app", project / "answered.json"
    app.mkdir()
    (app / "pyproject.toml").write_text(_APP)
    (app / "ask.py").write_text(_ASK)
    link = f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    (project / "flower" / "config.toml").write_text(link)
    command = [script("flwr"), "run", str(app), "here", "--stream", "--run-config", f"result={json.dumps(str(result))}"]
    subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True, timeout=300)
    found: dict[str, float] = json.loads(result.read_text())
    return found
