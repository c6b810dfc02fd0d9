"""The label of a text that need not be saved: it is that of `covey explain`, and the text is never executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from covey.console.evaluation import views_of
from deployment.inspect.explain import label_of
from featurestore.define.views_file import load_views
from tests.covey.conftest import VIEWS
from tests.covey.console.asking import Api, console_of, trusting

LOOP = VIEWS + (
    "\nopen('ran', 'w').close()\nmade = []\nfor name in ('p', 'q'):\n"
    "    made.append(FeatureView(name, entity=Entity('a', value='x'), pane='1d', features=[Count('n')],\n"
    "        bounds=Bounds(1), privacy=Privacy(rho=0.01)))\np, q = made\n"
)


def explained(api: Api, text: str, clients: tuple[int, ...] = (1_000,)) -> Any:
    return api.post("/composer/explain", {"text": text, "clients": clients})


def test_the_label_is_that_of_covey_explain_for_the_stated_fleet(tmp_path: Path) -> None:
    path = tmp_path / "views.py"
    path.write_text(VIEWS)
    with console_of(tmp_path) as console:
        found = explained(Api(console, "reader"), VIEWS, (20, 4_000))
    label = label_of(load_views(path), clients=(20, 4_000))
    assert found["problems"] == []
    assert found["over_budget_micro_rho"] == label.over_budget > 0
    assert found["total"]["epsilon"] == [vars(claim) for claim in label.total.epsilon]
    for told, view in zip(found["views"], label.views, strict=True):
        assert (told["view"], told["cost"]["micro_rho"]) == (view.view, view.cost.micro_rho)
        assert [[vars(one) for one in feature.expected] for feature in view.features] == [
            feature["expected"] for feature in told["features"]
        ]


def test_a_text_is_parsed_and_not_executed_and_what_is_known_has_its_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with console_of(tmp_path) as console:
        found = explained(Api(console), LOOP)
    assert not (tmp_path / "ran").exists()
    assert {view["view"] for view in found["views"]} == {"visits", "everywhere"}
    assert found["problems"]
    assert all(one["line"] > 0 for one in found["problems"])
    assert not found["executed"]


def test_only_the_saved_file_is_executed_and_only_if_the_operator_trusts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "views.py"
    path.write_text(LOOP)
    with console_of(tmp_path, views_file=path) as console:
        assert {view.name for view in views_of(console.text_settings, LOOP).declared.views} == {"visits", "everywhere"}
        trusted = trusting(console).text_settings
        unsaved = views_of(trusted, LOOP + "#\n")
        assert (unsaved.executed, {view.name for view in unsaved.declared.views}) == (False, {"visits", "everywhere"})
        assert not (tmp_path / "ran").exists()
        saved = views_of(trusted, LOOP)
        assert (saved.executed, saved.problems) == (True, ())
        assert {view.name for view in saved.declared.views} == {"visits", "everywhere", "p", "q"}
        assert (tmp_path / "ran").exists()
        path.write_text("raise SystemExit\n" + LOOP)
        assert "exit" in views_of(trusted, path.read_text()).problems[-1].message


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "GeneratorExit", "SystemExit"])
def test_what_a_trusted_file_raises_is_a_problem_and_no_defect(tmp_path: Path, raised: str) -> None:
    path = tmp_path / "views.py"
    path.write_text(f"raise {raised}\n" + LOOP)
    with console_of(tmp_path, views_file=path) as console:
        found = explained(Api(trusting(console)), path.read_text())
    assert str(path) in found["problems"][-1]["message"]
    assert {view["view"] for view in found["views"]} == {"visits", "everywhere"}


def test_an_invalid_view_is_a_problem_of_its_node_and_the_others_keep_their_price(tmp_path: Path) -> None:
    text = VIEWS.replace('pane="1h"', 'pane="7h"')
    with console_of(tmp_path) as console:
        found = explained(Api(console), text)
    assert [view["view"] for view in found["views"]] == ["visits"]
    assert found["problems"][0]["node"] == "everywhere"
    assert "pane" in found["problems"][0]["message"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "<script>alert(1)</script>", "x = (", "\x00"])
def test_a_text_without_views_has_no_price(tmp_path: Path, text: str) -> None:
    with console_of(tmp_path) as console:
        status, found = Api(console).ask("POST", "/composer/explain", json={"text": text, "clients": [10]})
    assert (status, found["total"], found["views"]) == (200, None, [])
    assert bool(found["problems"]) == (text[:1] in ("<", "x", "\x00"))


def test_an_edited_graph_is_written_into_the_text_and_only_its_lines_change(tmp_path: Path) -> None:
    with console_of(tmp_path) as console:
        api = Api(console, "reader")
        parsed = api.post("/composer/parse", {"text": VIEWS})
        same = api.post("/composer/render", {"text": VIEWS, "graph": parsed["graph"]})
        assert same["text"] == VIEWS
        for node in parsed["graph"]["nodes"]:
            if node["kind"] == "privacy" and node["id"].startswith("visits"):
                node["fields"]["rho"] = {"kind": "literal", "value": 0.25}
        changed = api.post("/composer/render", {"text": VIEWS, "graph": parsed["graph"]})
    assert changed["text"] == VIEWS.replace("rho=0.5, min_clients=5", "rho=0.25, min_clients=5")


def test_the_palette_has_every_type_of_a_graph(tmp_path: Path) -> None:
    with console_of(tmp_path) as console:
        types = Api(console, "reader").get("/composer/palette")["types"]
    assert {"FeatureView", "Entity", "Count", "Mean", "Bounds", "Privacy"} <= {one["type"] for one in types}
