"""The sections `[serving]` and `[serving.NAME]` of a covey.toml."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from base.errors import ConfigInvalid
from deployment.project.project import Project
from training.serving.settings import ModelSettings, ServingSettings, load_serving

PAGE = Path(__file__).resolve().parents[3] / "docs" / "model-serving.md"


def settings(tmp_path: Path, text: str) -> ServingSettings:
    (tmp_path / "covey.toml").write_text(text)
    return load_serving(tmp_path)


def test_without_a_file_or_a_section_the_defaults_apply(tmp_path: Path) -> None:
    assert load_serving(tmp_path) == settings(tmp_path, "[online]\nblock_mib = 3\n") == ServingSettings()


def test_a_model_has_the_settings_of_all_models_but_for_its_own(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "[serving]\nthreads = 2\nmax_batch = 128\nrate = 1.5\npreferred = [8, 16]\n\n[serving.late]\nqueue = 7\nshare = 3\n",
    )
    assert (found.threads, found.torch_threads) == (2, 1)
    assert found.of("other") == ModelSettings(max_batch=128, rate=1.5, preferred=(8, 16))
    assert found.of("late") == ModelSettings(max_batch=128, rate=1.5, preferred=(8, 16), queue=7, share=3.0)
    assert ServingSettings.from_json(found.to_json()) == found


def test_a_file_with_these_sections_only_is_no_project(tmp_path: Path) -> None:
    settings(tmp_path, "[serving]\nqueue = 3\n[online]\nblock_mib = 3\n")
    assert Project.find(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("serving = 3", "serving: write a section [serving]"),
        ("[serving]\nmax_bach = 3", "[serving] max_bach: unknown key; did you mean max_batch?"),
        ("[serving.late]\nthreads = 3", "[serving.late] threads: unknown key"),
        ("[serving.late]\nmax_batch = 0", "[serving.late] max_batch: it must be at least 1, not 0"),
        ("[serving]\nqueue = true", "[serving] queue: write queue = ROWS, not true"),
        ("[serving]\nshare = 0", "[serving] share: it must be at least 1e-06, not 0"),
        ("[serving]\nrate = inf", "[serving] rate"),
        ("[serving]\npreferred = [64, 65]", "[serving] preferred: 65 is above max_batch, 64; change one of them"),
        (
            "[serving]\npreferred = [8]\n[serving.late]\nmax_batch = 4",
            "[serving.late] preferred: 8 is above max_batch, 4",
        ),
        ("[serving]\nthreads = 1000", "[serving] threads: it must be at most 256"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        settings(tmp_path, text)
    assert says in str(caught.value)


def test_the_page_has_every_key_with_its_default(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", page, flags=re.M))
    defaults = {one.name: one.default for one in fields(ModelSettings)}
    defaults |= {"threads": ServingSettings.threads, "torch_threads": ServingSettings.torch_threads}
    for name, default in defaults.items():
        shown = {None: "none", (): "`[]`"}.get(default, f"{default:g}" if isinstance(default, float | int) else "")
        assert rows[name].strip() == shown, name
    (example,) = re.findall(r"```toml\n(\[serving\].*?)```", page, flags=re.S)
    found = settings(tmp_path, example)
    assert (found.threads, found.of("late").max_batch, found.of("late").share) == (2, 128, 3.0)
