"""Flower's own processes of a fleet on one machine: the SuperLink that simulates the nodes, and `flwr run`, which starts an app."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .processes import script

NAME: Final = "local"
"""What `flwr` calls the SuperLink."""


def write_flower_home(home: Path, port: int) -> None:
    """Make the folder `FLWR_HOME`, which says where the SuperLink listens."""
    home.mkdir()
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "{NAME}"\n\n[superlink.{NAME}]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
    )


def superlink_command(port: int) -> list[str]:
    """Start a SuperLink that simulates nodes. Raises ProcessFailed: it is not installed."""
    options = ["--insecure", "--simulation", "--disable-runtime-dependency-installation"]
    return [script("flower-superlink"), *options, "--port", str(port)]


def run_command(app: Path, config: Path, nodes: int) -> list[str]:
    """Run an app on so many nodes.

    Args:
        config: a TOML file with what the app is to be told.
    """
    fleet = f"num-supernodes={nodes} client-resources-num-cpus=1"
    run = ["run", str(app), NAME, "--stream", "--run-config", str(config), "--federation-config", fleet]
    return [script("flwr"), *run]
