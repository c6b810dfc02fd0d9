"""`covey release`: releases, their terms, and their retraction."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from featurestore.define.release import Release, Void
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.keys import load_keys
from federation.release_signing import sign_release, verify_release

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(collect: Callable[..., Path]) -> Path:
    """Three panes of `visits` and 72 of `everywhere`, from a run in one process."""
    return collect()


def rows(covey: Covey, store: Path, *words: Any) -> list[dict[str, Any]]:
    code, out, _ = covey("release", "list", "--store", store, *words, "--json")
    assert code == 0
    found: list[dict[str, Any]] = json.loads(out)
    return found


def first_visit(covey: Covey, store: Path) -> str:
    return str(rows(covey, store, "--view", "visits")[0]["release_id"])


class TestList:
    def test_every_pane_is_one_line_by_view_and_pane(self, covey: Covey, store: Path) -> None:
        code, out, _ = covey("release", "list", "--store", store)
        lines = [line.split() for line in out.splitlines()]
        assert code == 0
        assert lines[0] == ["id", "view", "pane", "state", "released", "noise", "rho"]
        assert [line[1] for line in lines[1:]] == ["everywhere"] * 72 + ["visits"] * 3
        assert lines[-1][2:7] == ["2020-05-03T00:00Z", "opened", "2020-05-04T00:30Z", "gaussian", "0.5"]
        assert len(rows(covey, store)) == 75

    def test_a_view_is_listed_alone_and_a_void_with_its_reason(
        self, covey: Covey, run_arguments: list[str], project: Path
    ) -> None:
        covey(*run_arguments, "--budget", "1", "--min-clients", "1000")
        code, out, _ = covey("release", "list", "--store", project / "store", "--view", "visits")
        assert code == 0
        assert out.count("void: BATCH_TOO_SMALL") == 3
        listed = rows(covey, project / "store", "--view", "visits")
        assert {(row["state"], row["reason"]) for row in listed} == {("void", "BATCH_TOO_SMALL")}

    def test_what_is_not_there_is_not_found(self, covey: Covey, store: Path, tmp_path: Path) -> None:
        assert covey("release", "list", "--store", tmp_path / "nowhere")[0] == 5
        assert covey("release", "list", "--store", store, "--view", "nothing")[0] == 5


class TestShow:
    def test_it_tells_the_terms_in_words_and_numbers(self, covey: Covey, store: Path) -> None:
        code, out, _ = covey("release", "show", first_visit(covey, store)[:6], "--store", store)
        assert code == 0
        for text in (
            "visits, 2020-05-01T00:00:00Z … 2020-05-02T00:00:00Z",
            "√2 = 1.41 times that of one",
            "ρ = 0.5 a client-day",
            "ε at δ = 1e-06",
            "against an aggregator",
            "in-process: one process played every role",
            "shares: each report was sent as two additive shares",
            "none: no proof bounds",
            "activity: coordinator, leader and helper see how many clients of a site had events",
            "σ = 3.162",
        ):
            assert text in out, text

    def test_json_holds_the_whole_manifest_and_no_value(self, covey: Covey, store: Path) -> None:
        release_id = first_visit(covey, store)
        code, out, _ = covey("release", "show", release_id, "--store", store, "--json")
        shown = json.loads(out)
        with Store.open(store) as opened:
            item = opened.release(bytes.fromhex(release_id))
        assert code == 0
        assert isinstance(item, Release)
        assert (shown["release_id"], shown["state"], shown["reason"]) == (release_id, "opened", None)
        assert shown["manifest"] == json.loads(item.manifest.to_json())
        assert shown["content_hash"] == item.content_hash.hex()
        assert "slots" not in out

    def test_proofs_are_told(self, covey: Covey, run_arguments: list[str], project: Path) -> None:
        assert covey(*run_arguments, "--validity", "prio3")[0] == 0
        _, out, _ = covey("release", "show", first_visit(covey, project / "store"), "--store", project / "store")
        assert "prio3: every report carries a proof, verified by both aggregators" in out

    def test_noise_off_is_told(self, covey: Covey, collect: Callable[..., Path]) -> None:
        store = collect("--noise", "off")
        _, out, _ = covey("release", "show", first_visit(covey, store), "--store", store)
        assert "no noise: an exact sum" in out
        assert "as charged; without noise there is no privacy" in out
        assert "without noise there is no privacy claim" in out

    @pytest.mark.parametrize(
        ("text", "code", "says"),
        [
            ("abc", 2, "6 to 32 hex digits"),
            ("nothex", 2, "6 to 32 hex digits"),
            ("0" * 33, 2, "6 to 32 hex digits"),
            ("000000", 5, "no release 000000 in this store"),
            ("[bold]", 2, "[bold]"),
        ],
    )
    def test_an_id_that_names_none_is_one_line(
        self, covey: Covey, store: Path, text: str, code: int, says: str
    ) -> None:
        for command in (["show"], ["retract", "--reason", "x", "--yes"]):
            got, out, err = covey("release", command[0], text, *command[1:], "--store", store)
            assert (got, out, says in err) == (code, "", True)

    def test_a_prefix_of_two_ids_asks_for_more(
        self, covey: Covey, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import deployment.inspect.releases as releases

        monkeypatch.setattr(releases, "_ID", re.compile(r"[0-9a-f]{1,32}"))
        listed = [row["release_id"] for row in rows(covey, store)]
        digit = next(one[0] for one in listed if sum(other[0] == one[0] for other in listed) > 1)
        code, _, err = covey("release", "show", digit, "--store", store)
        assert (code, "give more digits" in err) == (2, True)


class TestRetract:
    def test_the_pane_is_void_from_now_on_and_joins_before_stay(
        self, covey: Covey, store: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "labels.csv").write_text("shop,t\na,2020-05-05T00:00:00Z\n")
        words = ("join", tmp_path / "labels.csv", "-f", "visits:visits_2d", "--time", "t", "--store", store, "--out")
        covey(*words, tmp_path / "before.csv")
        release_id = rows(covey, store, "--view", "visits")[2]["release_id"]
        code, out, err = covey(
            "release", "retract", release_id[:8], "--reason", "a broken\n gateway", "--yes", "--store", store
        )
        assert (code, out) == (0, "")
        assert "retracted at" in err
        assert "Joins at earlier times give the same values as before" in err
        covey(*words, tmp_path / "after.csv")
        assert (tmp_path / "after.csv").read_text() == (tmp_path / "before.csv").read_text()
        _, out, _ = covey("get", "visits:visits", "shop=a", "--store", store, "--json")
        assert json.loads(out)[0]["visits__status"] == "VOID"
        _, out, _ = covey("release", "list", "--store", store, "--view", "visits")
        assert out.count("retracted: a broken gateway") == 1
        _, out, _ = covey("release", "show", release_id, "--store", store)
        assert "retracted: a broken gateway" in out

    def test_it_asks_first(self, covey: Covey, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:

        release_id = first_visit(covey, store)
        for answer, code in (("n\n", 1), ("", 1), ("y\n", 0)):
            monkeypatch.setattr("sys.stdin", io.StringIO(answer))
            got, _, err = covey("release", "retract", release_id, "--reason", "x", "--store", store)
            assert (got, "nothing was retracted" in err) == (code, code == 1)
        assert rows(covey, store, "--view", "visits")[0]["state"] == "retracted"

    def test_twice_or_of_a_void_is_refused(self, covey: Covey, store: Path) -> None:
        words = ("release", "retract", first_visit(covey, store), "--yes", "--store", store, "--reason")
        assert covey(*words, "x")[0] == 0
        code, _, err = covey(*words, "y")
        assert (code, "retracted already" in err) == (4, True)

    @pytest.mark.parametrize("reason", ["", " \n ", "x" * 301, "a\x1b[31mb"])
    def test_a_reason_is_a_short_printable_text(self, covey: Covey, store: Path, reason: str) -> None:
        code, _, err = covey(
            "release", "retract", first_visit(covey, store), "--yes", "--store", store, "--reason", reason
        )
        assert (code, "the reason must have 1 to 300 printable" in err) == (2, True)
        assert rows(covey, store, "--view", "visits")[0]["state"] == "opened"

    def test_over_the_wire_only_the_collector_can(self, covey: Covey, store: Path, tmp_path: Path) -> None:
        """The release is signed by a project's collector and lies in a store of that project."""
        directory = tmp_path / "p"
        covey("init", directory)
        collector = load_keys(directory / "keys", "collector").sign
        with Store.open(store) as opened:
            view = next(one for one in opened.views() if one.name == "visits")
            item = opened.release(bytes.fromhex(first_visit(covey, store)))
        from dataclasses import replace

        signed = sign_release(replace(item, manifest=replace(item.manifest, trust="one-honest-noiser")), collector)
        with Publisher(directory, lambda: item.published_at) as publisher:
            publisher.register(view)
            publisher.publish([signed])
        words = ("release", "retract", item.release_id.hex(), "--yes", "--reason", "x", "--store")
        (directory / "keys").rename(tmp_path / "forgotten")  # as after `covey run` over processes
        code, _, err = covey(*words, directory)
        assert (code, "deletes the keys that signed its releases" in err) == (2, True)
        (tmp_path / "forgotten").rename(directory / "keys")
        hidden = directory / "keys" / "collector.key"
        hidden.rename(tmp_path / "away")
        assert covey(*words, directory)[0] == 5  # no key
        covey("keys", "init", "collector", "--project", tmp_path / "other")
        hidden.write_bytes((tmp_path / "other" / "keys" / "collector.key").read_bytes())
        hidden.chmod(0o600)
        code, _, err = covey(*words, directory)
        assert (code, "did not sign this release" in err) == (2, True)
        hidden.unlink()
        (tmp_path / "away").rename(hidden)
        code, _, err = covey(*words, directory)
        assert (code, "signed by the collector" in err) == (0, True)
        with Store.open(directory) as opened:
            tombstone = opened.tombstone(item.release_id)
        assert isinstance(tombstone, Void)
        verify_release(tombstone, collector.public)
