"""`[network]` of covey.toml: where roles listen, and where their peers reach them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from deployment.errors import UsageError
from deployment.project.network import Listening, Network
from deployment.project.project import Project

Covey = Callable[..., tuple[int, str, str]]
NETWORK = Network({"leader": "leader.example:7301", "keyholder": "[::1]:9"})


def test_an_option_goes_before_the_file_and_the_file_before_the_default() -> None:
    assert NETWORK.address("leader", "10.0.0.1:1") == "10.0.0.1:1"
    assert NETWORK.address("leader") == "leader.example:7301"
    assert NETWORK.address("helper") == "127.0.0.1:7302"
    with pytest.raises(UsageError, match="write HOST:PORT") as raised:
        NETWORK.address("leader", "10.0.0.1")
    assert raised.value.settings == ("leader",)


def test_a_role_that_a_project_need_not_have_has_no_default() -> None:
    assert NETWORK.optional("provider", None) is None
    assert NETWORK.optional("provider", "a:1") == "a:1"
    assert NETWORK.optional("keyholder", None) == "[::1]:9"


def test_a_role_listens_on_its_address_unless_its_operator_says_otherwise() -> None:
    assert Listening().at(NETWORK, "leader") == ("leader.example", 7301)
    assert Listening("0.0.0.0").at(NETWORK, "leader") == ("0.0.0.0", 7301)
    assert Listening(port=0).at(NETWORK, "helper") == ("127.0.0.1", 0)
    assert Listening().at(NETWORK, "keyholder") == ("::1", 9)


def test_a_project_writes_what_it_reads(covey: Covey, tmp_path: Path) -> None:
    covey("init", tmp_path / "p")
    project = replace(Project.load(tmp_path / "p"), network=NETWORK)
    (tmp_path / "p" / "covey.toml").write_text(project.to_toml())
    assert Project.load(tmp_path / "p") == project


@pytest.mark.parametrize("role", ["helper", "provider"])
def test_a_leader_with_a_provider_has_its_peers_on_its_own_machine(covey: Covey, tmp_path: Path, role: str) -> None:
    """The processes of the finish mpc have no TLS."""
    assert covey("init", tmp_path / "p")[0] == 0
    peers = {"helper": "127.0.0.1:7302", "provider": "127.0.0.1:7304"} | {role: "192.0.2.1:7000"}
    words = [word for name, address in peers.items() for word in (f"--{name}", address)]
    code, _, err = covey("start", "leader", "--project", tmp_path / "p", *words)
    assert (code, f"the {role} at 192.0.2.1:7000 is not on this machine" in err) == (2, True), err
    assert f"see --{role}" in err
