"""A real PostgreSQL server for tests: its own cluster in a temporary folder, on a free port of the loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import wait_until

USER = "postgres"


@dataclass(frozen=True)
class PostgreSqlServer:
    """A running server, and its superuser's SQL."""

    folder: Path
    port: int

    @property
    def socket_folder(self) -> Path:
        return self.folder

    def connect(self) -> Any:
        """A connection that commits each statement."""
        import adbc_driver_postgresql.dbapi as driver

        return driver.connect(f"host={self.folder} port={self.port} user={USER} dbname=postgres", autocommit=True)

    def answers(self) -> bool:
        """Whether it accepts connections."""
        import adbc_driver_manager

        try:
            self.connect().close()
        except adbc_driver_manager.Error:
            return False
        return True

    def run(self, *statements: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")) or [Path(shutil.which("postgres") or "")]
    return found[-1].resolve().parent if found[-1].name else None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def postgresql_server(
    settings: Mapping[str, str] = {}, access: str = "", files: Mapping[str, bytes] = {}
) -> Iterator[PostgreSqlServer]:
    """A server.

    Args:
        settings: of postgresql.conf. access: lines before those of pg_hba.conf. files: put into its data folder, private.
    """
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    as_other = _as_other_user()
    with tempfile.TemporaryDirectory(prefix="covey-pg-") as name:
        folder = Path(name)
        if as_other:
            shutil.chown(folder, USER, USER)
        data, port = folder / "data", _free_port()
        run = [
            *as_other,
            programs / "initdb",
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            USER,
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL, cwd="/")
        for file, content in files.items():
            (data / file).write_bytes(content)
            (data / file).chmod(0o600)
            if as_other:
                shutil.chown(data / file, USER, USER)
        hba = data / "pg_hba.conf"
        hba.write_text(access + hba.read_text())
        every = {
            "listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": str(folder), "fsync": "off",
            "shared_buffers": "16MB", "max_connections": "20", **settings,
        }  # fmt: skip
        options = [part for key, value in every.items() for part in ("-c", f"{key}={value}")]
        # It ends with this process, whatever ends that.
        run = ["setpriv", "--pdeathsig", "KILL", *as_other[1:], programs / "postgres", "-D", data, *options]
        with (folder / "log").open("w") as log, subprocess.Popen(run, stdout=log, stderr=log, cwd="/") as process:
            server = PostgreSqlServer(folder, port)
            try:
                wait_until(lambda: process.poll() is not None or server.answers())
                yield server
            finally:
                process.send_signal(signal.SIGQUIT)  # at once
                process.wait(30)


def _as_other_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
