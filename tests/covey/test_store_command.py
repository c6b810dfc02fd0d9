"""`covey store` and `covey views`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from base.times import wall_clock
from featurestore.publish.publish import Publisher
from tests.featurestore.whole_store import REFS, fill

Covey = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    fill(tmp_path)
    return tmp_path


def test_verify_says_that_nothing_is_damaged(covey: Covey, store: Path) -> None:
    code, out, err = covey("store", "verify", "--store", store)
    assert (code, out.split()[1:]) == (0, ["files", "checked,", "nothing", "damaged"])
    assert "delays@v1: checked" in err
    assert "online rows: checked" in err
    code, out, _ = covey("store", "verify", "--project", store, "--json")
    assert (code, json.loads(out)["damaged"]) == (0, [])


def test_verify_names_what_is_damaged_and_what_helps_and_rebuild_online_does(covey: Covey, store: Path) -> None:
    before = covey("get", *REFS[1:3], "id=7,hub=true", "--store", store, "--json")
    (block,) = (store / "store/blocks").glob("many-*.arrow")
    block.write_bytes(b"")
    code, out, _ = covey("store", "verify", "--store", store)
    assert code == 1
    (line, last) = out.splitlines()
    assert line.startswith(f"blocks/{block.name}: its size or SHA-256 differs from the one in CURRENT.json")
    assert "`covey store rebuild-online`" in line
    assert last.endswith("1 damaged")
    code, out, _ = covey("store", "verify", "--store", store, "--json")
    assert (code, [one["path"] for one in json.loads(out)["damaged"]]) == (1, [f"blocks/{block.name}"])
    code, out, _ = covey("store", "rebuild-online", "--store", store)
    assert (code, out) == (0, "rebuilt the online rows and blocks of 4 view(s): area, delays, empty, many\n")
    assert covey("store", "verify", "--store", store)[0] == 0
    assert covey("get", *REFS[1:3], "id=7,hub=true", "--store", store, "--json")[:2] == before[:2]
    code, out, _ = covey("store", "rebuild-online", "--store", store, "--json")
    assert json.loads(out) == {"views": ["area", "delays", "empty", "many"]}


def test_rebuild_online_says_that_a_store_without_views_has_no_rows(covey: Covey, tmp_path: Path) -> None:
    Publisher(tmp_path, wall_clock).close()
    code, out, _ = covey("store", "rebuild-online", "--store", tmp_path)
    assert (code, out) == (0, "no view is registered, so there are no online rows to rebuild\n")


def test_compact_says_how_large_the_store_was_and_is(covey: Covey, store: Path) -> None:
    code, out, err = covey("store", "compact", "--store", store)
    assert code == 0, err
    assert " bytes before, " in out
    assert covey("store", "verify", "--store", store)[0] == 0
    code, out, _ = covey("store", "compact", "--store", store, "--json")
    again = json.loads(out)
    assert (code, again["merged"], again["expired"]) == (0, 0, 0)


@pytest.mark.parametrize("command", [["store", "verify"], ["store", "rebuild-online"], ["views"]])
def test_a_directory_without_a_store_is_not_found(covey: Covey, tmp_path: Path, command: list[str]) -> None:
    code, out, err = covey(*command, "--store", tmp_path)
    assert (code, out) == (5, "")
    assert "no store at" in err


def test_views_lists_views_with_their_features_and_services(covey: Covey, store: Path) -> None:
    code, out, _ = covey("views", "--store", store)
    assert code == 0
    for text in ("delays@v1", "dest (2)", "id, hub (600)", "none (constant)", "flights_3h", "no release yet", "model"):
        assert text in out
    told = json.loads(covey("views", "--store", store, "--json")[1])
    assert told["services"] == {"model": REFS}
    many = {view["name"]: view for view in told["views"]}["many"]
    assert many["join_keys"] == {"id": "int64", "hub": "bool"}
    assert many["features"] == ["delay_mean", "delay_hist", "delay_mean_3h", "delay_hist_3h"]
    assert (many["keys"], many["pane"], many["windows"]) == (600, "1h", ["3h"])
    assert many["pane_end"] == "1970-01-01T04:00:00Z"


def test_views_of_one_name(covey: Covey, store: Path) -> None:
    told: Any = json.loads(covey("views", "delays", "--store", store, "--json")[1])
    assert [view["name"] for view in told["views"]] == ["delays"]
    code, _, err = covey("views", "none", "--store", store)
    assert (code, "it has: area, delays, empty, many" in err) == (5, True)


def test_views_writes_a_feast_repository(covey: Covey, store: Path, tmp_path: Path) -> None:
    code, out, err = covey("views", "--store", store, "--feast", tmp_path / "repo")
    assert (code, out) == (0, "")
    assert "feast -c" in err
    assert 'name="delays"' in (tmp_path / "repo" / "covey_views.py").read_text(encoding="utf-8")
    code, out, _ = covey("views", "--store", store, "--feast", tmp_path / "repo", "--json")
    assert json.loads(out) == {"written": [str(tmp_path / "repo" / "covey_views.py")]}
    (tmp_path / "repo" / "covey_views.py").write_text("")
    assert covey("views", "--store", store, "--feast", tmp_path / "repo")[0] == 2
    assert covey("views", "delays", "--store", store, "--feast", tmp_path / "repo")[0] == 2
