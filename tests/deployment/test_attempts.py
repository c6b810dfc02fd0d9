"""What a coordinator keeps of attempts that did not open every pane, and of each site's answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from covey import Bounds
from deployment.coordinator.attempts import Attempts
from deployment.coordinator.site_answer import SiteAnswer
from deployment.coordinator.site_results import SiteOutcome, SiteResult, SiteResults
from deployment.errors import JobMalformed
from federation.attempt import MAX_ATTEMPTS, Attempt
from federation.plan import PlannedView
from tests.federation.wire import DAY, plan, view


def panes(*days: int) -> np.ndarray:
    return np.array(days, np.int64) * DAY


def test_a_plan_names_the_attempts_at_its_panes_in_order_of_their_hashes(tmp_path: Path) -> None:
    attempts, plans = Attempts(tmp_path), [plan(number) for number in range(3)]
    assert attempts.earlier([PlannedView(view("v0", 2), panes(0, 1), 2)]) == ()
    attempts.record(plans[0], {"v0": panes(0)}, [b"a", b"b"], reported=True)
    attempts.record(plans[1], {"v0": panes(1), "v1": panes(0)}, [], reported=True)
    attempts.record(plans[2], {"v0": panes(7)}, [b"c"], reported=True)
    found = Attempts(tmp_path).earlier([PlannedView(view("v0", 2), panes(0, 1), 2)])
    expected = sorted([Attempt(plans[0].hash, (b"a", b"b")), Attempt(plans[1].hash)], key=lambda one: one.plan_hash)
    assert list(found) == expected
    assert Attempts(tmp_path).earlier([PlannedView(view("v1", 3), panes(1), 2)]) == ()


def test_only_attempts_at_which_a_site_reported_are_counted(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    for number in range(MAX_ATTEMPTS):
        attempts.record(plan(number), {"v0": panes(0, 1)}, [], reported=True)
        attempts.record(plan(10 + number), {"v0": panes(1, 2)}, [], reported=False)
        assert attempts.exhausted(view("v0", 2)).tolist() == ([0, DAY] if number == MAX_ATTEMPTS - 1 else [])
    attempts.record(plan(0), {"v0": panes(0, 1)}, [], reported=True)  # a repeat
    assert attempts.exhausted(view("v1", 3)).tolist() == []


def test_an_attempt_is_forgotten_when_all_of_its_panes_are_published(tmp_path: Path) -> None:
    attempts, views = Attempts(tmp_path), [view("v0", 2), view("v1", 3)]
    attempts.forget(views, lambda *_: pytest.fail("there are no attempts"))
    attempts.record(plan(0), {"v0": panes(0, 1)}, [], reported=True)
    attempts.record(plan(1), {"v0": panes(1), "v1": panes(4)}, [], reported=True)
    asked: list[tuple[str, tuple[int, int]]] = []
    attempts.forget(views, lambda of, between: asked.append((of.name, between)) or panes(1))
    assert asked == [("v0", (0, DAY + 1)), ("v1", (4 * DAY, 4 * DAY + 1))]
    assert attempts.due(views[0]).tolist() == [0, DAY]
    attempts.forget(views, lambda *_: panes(0, 1))
    assert (attempts.due(views[0]).tolist(), attempts.due(views[1]).tolist()) == ([DAY], [4 * DAY])
    attempts.forget(views[:1], lambda *_: panes(0, 1))  # a plan without the other view
    attempts.forget(views, lambda *_: panes(0, 1, 4))
    assert not attempts.due(views[0]).size


def test_the_attempts_of_another_version_do_not_count(tmp_path: Path) -> None:
    """Two versions that overlap have the same panes."""
    attempts, changed = Attempts(tmp_path), replace(view("v0", 2), bounds=Bounds(max_cells=3))
    for number in range(MAX_ATTEMPTS):
        attempts.record(plan(number), {"v0": panes(0)}, [], reported=True)
    assert attempts.exhausted(view("v0", 2)).tolist() == [0]
    assert (attempts.exhausted(changed).tolist(), attempts.due(changed).tolist()) == ([], [])
    assert attempts.earlier([PlannedView(changed, panes(0), 2)]) == ()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"due": 1, "statements": []}', '{"due": {"v": ["x"]}, "statements": []}']
)
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    attempts = Attempts(tmp_path)
    attempts.record(plan(), {"v0": panes(0)}, [], reported=True)
    (file,) = (tmp_path / "roles" / "coordinator" / "attempts").iterdir()
    file.write_text(text)
    with pytest.raises(JobMalformed, match="is not the record of an attempt"):
        attempts.exhausted(view("v0", 2))


def test_a_site_s_state_follows_from_its_answer(tmp_path: Path) -> None:
    file, seen = tmp_path / "progress.jsonl", set[str]()
    results = SiteResults(file)
    results.add(SiteAnswer(1, "a", "OK", (b"xx", b"y")), {}, seen)
    results.add(SiteAnswer(2, "b", "OK", (b"x",)), {"SIGNATURE_INVALID": 1}, seen)
    results.add(SiteAnswer(3, "c", "K_TOO_LOW", ()), {}, seen)
    results.add(SiteAnswer(4, "a", "OK", ()), {}, seen)  # a node that names another node's site
    results.add(SiteAnswer(5, "", "NODE_FAILED", ()), {}, seen)
    found = SiteResults(file).of(["a", "b", "c", "d"])
    assert {name: one.state for name, one in found.items()} == {
        "a": SiteOutcome.ANSWERED, "b": SiteOutcome.LOST, "c": SiteOutcome.REFUSED, "d": SiteOutcome.ABSENT,
        "node 4": SiteOutcome.ANSWERED, "node 5": SiteOutcome.LOST,
    }  # fmt: skip
    assert (found["a"], found["b"].refused) == (SiteResult("OK", 2), {"SIGNATURE_INVALID": 1})
    assert (results.reported, results.answered(["a", "b", "c", "d"])) == (True, 1)
    assert not SiteResults().reported
    again = SiteResults(file)
    again.add(SiteAnswer(1, "b", "OK", (b"x",)), {}, set())  # asked again, by a restarted coordinator
    assert again.of([])["b"].state is SiteOutcome.ANSWERED
