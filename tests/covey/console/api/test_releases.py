"""The API of releases: the list, one release, its verification, and its retraction."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from covey.cli import call
from covey.console.api.releases.verification_forms import _checks
from covey.console.console import Console
from deployment.coordinator.decisions import MAX_REASON
from deployment.inspect.verification import CHECKS, VerificationResult
from featurestore.publish.publish import Publisher
from tests.covey.console.asking import Api, console_of
from tests.featurestore.making import DAY, HOUR, a_release, a_view, a_void
from tests.fixtures.kept import VERSIONS, unpacked

VIEW = a_view()


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    """Five opened hours, and a void."""
    with Publisher(tmp_path, lambda: 3 * DAY) as publisher:
        publisher.register(VIEW)
        publisher.publish([*(a_release(VIEW, i * HOUR) for i in range(5)), a_void(VIEW, 5 * HOUR, "BUDGET_SPENT")])
    with console_of(tmp_path, now=4 * DAY) as made:
        yield made


@pytest.fixture
def api(console: Console) -> Api:
    return Api(console)


def first(api: Api, **wanted: object) -> str:
    return str(api.get("/releases", **wanted)["releases"][0]["release_id"])


class TestList:
    def test_pages_end_with_the_oldest_pane(self, api: Api) -> None:
        starts, cursor = [], None
        while True:
            page = api.get("/releases", limit=4, **({} if cursor is None else {"cursor": cursor}))
            starts += [one["pane_start"] for one in page["releases"]]
            if (cursor := page["next"]) is None:
                break
        assert starts == [i * HOUR for i in range(5, -1, -1)]

    def test_filters_keep_what_they_say(self, api: Api) -> None:
        (void,) = api.get("/releases", state="void")["releases"]
        assert (void["reason"], void["signed"]) == ("BUDGET_SPENT", False)
        assert len(api.get("/releases", first=HOUR, end=3 * HOUR)["releases"]) == 2
        assert api.get("/releases", trust="one-honest-noiser")["releases"] == []
        for text in ("budget", void["release_id"][:10]):
            assert api.get("/releases", text=text)["releases"] == [void]
        assert api.ask("GET", "/releases?view=nothing")[0] == 404

    @pytest.mark.parametrize(
        "query", ["cursor=1", "cursor=a.b", f"cursor={2**63}.1", "state=lost", "limit=201", "limit=0"]
    )
    def test_what_no_page_has_given_is_refused(self, api: Api, query: str) -> None:
        assert api.ask("GET", f"/releases?{query}")[0] == 422

    def test_panes_are_counted_by_view(self, api: Api) -> None:
        assert api.get("/releases/counts") == {
            "views": [{"view": "delays", "opened": 5, "void": 1, "retracted": 0, "first": 0, "last": 5 * HOUR}],
            "trusts": ["in-process"],
        }


class TestOne:
    def test_its_terms_hashes_and_command_are_shown(self, api: Api, console: Console) -> None:
        ident = first(api, state="opened")
        found = api.get(f"/releases/{ident}")
        assert (found["release"]["release_id"], found["min_clients"], found["hashes"]["plan"]) == (ident, 2, "00" * 32)
        assert [group["feature"] for group in found["groups"]] == ["flights", "late", "late"]
        assert found["command"] == f"covey release show {ident} --store {console.directory}"

    @pytest.mark.parametrize(("ident", "status"), [("0" * 32, 404), ("0" * 31, 422), ("Z" * 32, 422), ("A" * 32, 422)])
    def test_an_id_that_is_none_is_refused(self, api: Api, ident: str, status: int) -> None:
        for part in ("", "/verification", "/retraction"):
            assert api.ask("GET", f"/releases/{ident}{part}")[0] == status

    def test_an_unsigned_release_has_one_check_that_passed(self, api: Api) -> None:
        found = api.get(f"/releases/{first(api, state='opened')}/verification")
        assert (found["result"], found["key"]) == ("unsigned", None)
        assert [one["state"] for one in found["checks"]] == ["passed", *["not reached"] * (len(CHECKS) - 1)]

    def test_releases_of_a_deployment_are_verified_with_the_pinned_keys(self, tmp_path: Path) -> None:
        unpacked(VERSIONS[-1], "project", tmp_path / "p")
        with console_of(tmp_path / "p") as console:
            api = Api(console)
            page = api.get("/releases", trust="one-honest-noiser")["releases"]
            found = api.get(f"/releases/{page[0]['release_id']}/verification")
        assert (found["result"], found["failed"], found["keys"]) == ("verified", None, "covey.toml's")
        assert {one["state"] for one in found["checks"]} <= {"passed", "skipped"}
        assert next(one["state"] for one in found["checks"] if one["name"] == "signature") == "passed"


class TestRetraction:
    def test_it_is_previewed_confirmed_and_published_with_its_command(self, api: Api, console: Console) -> None:
        ident = first(api, state="opened")
        preview = api.get(f"/releases/{ident}/retraction")
        assert (preview["why_not"], "cannot be undone" in preview["effect"]) == (None, True)
        status, problem = api.ask("POST", f"/releases/{ident}/retraction", json={"reason": "wrong events"})
        assert (status, problem["code"]) == (409, "NOT_CONFIRMED")
        assert api.get(f"/releases/{ident}")["release"]["state"] == "opened"
        made = api.post(f"/releases/{ident}/retraction", {"reason": "wrong events", "confirmed": True})
        assert (made["release"]["state"], made["release"]["reason"]) == ("retracted", "RETRACTED: wrong events")
        assert made["command"] == (
            f"covey release retract {ident} --reason 'wrong events' --yes --store {console.directory}"
        )
        assert "already" in api.get(f"/releases/{ident}/retraction")["why_not"]
        assert api.ask("POST", f"/releases/{ident}/retraction", json={"reason": "again", "confirmed": True})[0] == 409

    def test_the_command_does_the_same(self, api: Api, console: Console) -> None:
        ident = first(api, state="opened")
        line = api.get(f"/releases/{ident}/retraction")["command"].replace("TEXT", "'by command'")
        assert call([*shlex.split(line)[1:], "--yes"]) == 0
        assert api.get(f"/releases/{ident}")["release"]["reason"] == "RETRACTED: by command"

    def test_a_reason_of_several_lines_is_published_and_shown_as_one(self, api: Api) -> None:
        ident = first(api, state="opened")
        made = api.post(f"/releases/{ident}/retraction", {"reason": "wrong\n events", "confirmed": True})
        assert made["release"]["reason"] == "RETRACTED: wrong events"
        assert "--reason 'wrong events'" in made["command"]

    def test_only_an_operator_retracts(self, api: Api, console: Console) -> None:
        ident = first(api, state="opened")
        body = {"reason": "x", "confirmed": True}
        status, problem = Api(console, "reader").ask("POST", f"/releases/{ident}/retraction", json=body)
        assert (status, problem["code"]) == (403, "ROLE_TOO_SMALL")
        assert api.get(f"/releases/{ident}")["release"]["state"] == "opened"

    def test_a_void_has_nothing_to_retract(self, api: Api) -> None:
        ident = first(api, state="void")
        assert "not opened" in api.get(f"/releases/{ident}/retraction")["why_not"]
        status, _ = api.ask("POST", f"/releases/{ident}/retraction", json={"reason": "x", "confirmed": True})
        assert status == 409

    @pytest.mark.parametrize("reason", ["", " \n", "a\x00", "x" * (MAX_REASON + 1)])
    def test_a_reason_has_a_length_and_no_control_characters(self, api: Api, reason: str) -> None:
        body = {"reason": reason, "confirmed": True}
        assert api.ask("POST", f"/releases/{first(api)}/retraction", json=body)[0] == 422


def test_no_check_after_the_one_that_failed_is_said_to_have_passed() -> None:
    first, _, third, *others = CHECKS
    failed = VerificationResult(bytes(16), "delays", failed=third, why="odd")
    states = [one.state for one in _checks(failed, frozenset({first}))]
    assert states == ["skipped", "passed", "failed", *("not reached" for _ in others)]
