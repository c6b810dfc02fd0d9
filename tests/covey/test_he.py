"""`--protection he` at the command line and in the label."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crypto.bfv import message_bytes
from deployment.inspect.explain import explain
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.privacy import Bounds, Privacy
from federation.he.view import he_parameters
from federation.parties import DEFAULT_SITE_CLIENTS
from tests.covey.conftest import VIEWS

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def arguments(project: Path, run_arguments: list[str]) -> list[str]:
    """`covey run --protection he` over the daily view alone."""
    (project / "views.py").write_text(VIEWS.split("everywhere =")[0])
    return [*run_arguments, "--protection", "he"]


def test_a_run_is_told_and_shown_as_it_was(covey: Covey, project: Path, arguments: list[str]) -> None:
    pytest.importorskip("tenseal", reason="the extra `he` is not installed")
    code, out, err = covey(*arguments, "--json")
    assert code == 0, err
    assert json.loads(out)["views"][0]["opened"] == 3
    assert "visits: encrypting and adding" in err
    assert "visits: drawing noise (leader and key holder)" in err
    _, listed, _ = covey("release", "list", "--store", project / "store", "--json")
    first = json.loads(listed)[0]["release_id"]
    _, shown, _ = covey("release", "show", first, "--store", project / "store")
    for words in (
        "he: each report was sent encrypted (BFV)",
        "ρ = 0.500001 a client-day, for any number of its panes (0.000001 of it for the decryption noise",
        "checked by the leader only",
        "key holder signed",
        "Nothing bounds what a client encrypts",
    ):
        assert words in shown
    code, verified, _ = covey("release", "verify", "--all", "--allow-unsigned", "--store", project / "store")
    assert code == 0
    assert "one process saw everything" in verified
    _, as_json, _ = covey("release", "show", first, "--store", project / "store", "--json")
    manifest = json.loads(as_json)["manifest"]
    assert (manifest["protection"], manifest["k_checked_by"], manifest["leak_micro_rho"]) == ("he", "leader", 1)


def test_releases_of_shares_say_nothing_of_it(covey: Covey, project: Path, arguments: list[str]) -> None:
    covey(*arguments[:-2])
    _, listed, _ = covey("release", "list", "--store", project / "store", "--json")
    _, shown, _ = covey("release", "show", json.loads(listed)[0]["release_id"], "--store", project / "store", "--json")
    assert not {"k_checked_by", "leak_micro_rho"} & json.loads(shown)["manifest"].keys()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (["--in-process", "--validity", "prio3"], "nothing can be proven of encrypted reports"),
        (["--validity", "prio3"], "nothing can be proven of encrypted reports"),
        (
            ["--in-process", "--protection", "mpc"],
            "Invalid value for '--protection': 'mpc' is not one of 'shares', 'he'",
        ),
    ],
)
def test_what_does_not_go_together_is_one_line(
    covey: Covey, project: Path, arguments: list[str], changes: list[str], why: str
) -> None:
    code, out, err = covey(*(word for word in arguments if word != "--in-process"), *changes)
    assert (code, out) == (2, "")
    assert err.strip().count("\n") == 0
    assert why in err
    assert not (project / "store").exists()


def test_over_budget_the_mend_has_the_leak_in_it(covey: Covey, project: Path, arguments: list[str]) -> None:
    pytest.importorskip("tenseal", reason="the extra `he` is not installed")
    words = [word if word != "1" else "0.5" for word in arguments]
    code, _, err = covey(*words)
    assert code == 4
    assert "view 'visits' costs rho = 0.500001 a client-day" in err
    assert "a budget of 0.500001" in err


def test_the_label_shows_ciphertexts_bytes_and_the_leak(covey: Covey, project: Path) -> None:
    def view(keys: int, privacy: Privacy) -> FeatureView:
        return FeatureView(
            "v",
            entity=Entity("k", domain=range(keys)),
            features=[Count("n")],
            pane="1h",
            bounds=Bounds(3),
            privacy=privacy,
        )

    big = view(9_000, Privacy(rho=0.1))
    told = explain(big).encrypted
    assert (told.clients, told.ciphertexts, told.degree, told.why_not) == (DEFAULT_SITE_CLIENTS, 3, 4096, None)
    assert told.report_bytes_leader == message_bytes(he_parameters(big, told.clients, True)) + 16
    assert told.leak_micro_rho == 3
    pure = explain(view(5, Privacy(epsilon=1.0, mechanism="laplace"))).encrypted
    assert pure.why_not is not None
    assert pure.ciphertexts == 0
    _, out, _ = covey("explain", project / "views.py")
    assert "with protection he, 1 ciphertext of 4,096 slots, 61,488 bytes, to the leader" in " ".join(out.split())
