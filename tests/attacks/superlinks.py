"""Flower's own SuperLink, unmodified, and an outsider's tools against it: an app, or a Fleet client of their own."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.control_pb2 import RegisterNodeRequest
from flwr.supercore.control.control_http_client import ControlHttpClient

from base.ports import free_port
from deployment.local.processes import Processes, script

ENVIRONMENT = {
    "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.1",
    "PYTHONUNBUFFERED": "1",
}

_APP = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "evil"
version = "1.0.0"
description = "An outsider's app."
license = "Apache-2.0"

[tool.flwr.app]
publisher = "outsider"

[tool.flwr.app.components]
serverapp = "evil:server"
clientapp = "evil:client"

[tool.flwr.app.config]
result = ""
"""


def start_superlink(processes: Processes, home: Path, *options: str) -> str:
    """Start an unmodified SuperLink. Returns its address. Without options it runs `--insecure`."""
    port = free_port()
    command = [script("flower-superlink"), "--disable-runtime-dependency-installation", "--port", str(port)]
    processes.start("superlink", [*command, *(options or ("--insecure",))], {**ENVIRONMENT, "FLWR_HOME": str(home)})
    processes.wait_for_port("superlink", port, 180)
    return f"127.0.0.1:{port}"


def upload(app: Path, address: str, code: str, certificate: Path | None = None) -> dict[str, Any]:
    """Make an app of this code and `flwr run` it on the SuperLink, as anybody who reaches it can. Returns what the app wrote.

    Args:
        certificate: the certificate of a SuperLink with TLS.
    """
    app.mkdir()
    (app / "pyproject.toml").write_text(_APP)
    (app / "evil.py").write_text(code)
    home, result = app.parent / "flwr", app.parent / "result.json"
    home.mkdir()
    known = "insecure = true" if certificate is None else f'root-certificates = "{certificate}"'
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "there"\n\n[superlink.there]\naddress = "{address}"\n{known}\n'
    )
    command = [script("flwr"), "run", str(app), "there", "--run-config", f"result={json.dumps(str(result))}"]
    environment = {**os.environ, **ENVIRONMENT, "FLWR_HOME": str(home)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    end = time.monotonic() + 120
    while not result.exists():
        assert time.monotonic() < end, "the outsider's app did not come to its end"
        time.sleep(0.1)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def certify(folder: Path) -> tuple[str, ...]:
    """Make a certificate for 127.0.0.1 in `folder`, and trust it there. Returns the options for a SuperLink with TLS and node authentication."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "superlink")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "trust").mkdir(exist_ok=True)
    for path in (folder / "superlink.crt", folder / "trust" / "superlink.crt"):
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "superlink.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    crt, secret = str(folder / "superlink.crt"), str(folder / "superlink.key")
    return "--ssl-ca-certfile", crt, "--ssl-certfile", crt, "--ssl-keyfile", secret, "--enable-supernode-auth"


def register(address: str, certificate: Path, *keys: bytes) -> None:
    """Register the node keys that a SuperLink accepts."""
    control = ControlHttpClient.from_server_address(address, False, certificate.read_bytes(), interceptors=[])
    with control:
        for key in keys:
            control.RegisterNode(RegisterNodeRequest(public_key=key))


def wait_for_line(log: Path, text: str, seconds: float = 60) -> str:
    """Wait for a log line that contains this text, and return the first one."""
    end = time.monotonic() + seconds
    while True:
        said = log.read_text() if log.exists() else ""
        for line in said.splitlines():
            if text in line:
                return line
        assert time.monotonic() < end, f"{text!r} is not in the log:\n{said}"
        time.sleep(0.05)
