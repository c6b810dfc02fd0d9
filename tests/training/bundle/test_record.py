from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from featurestore.errors import StoreWriteFailed
from training.bundle.lock import deploying
from training.bundle.record import BundleRecord, StepRecord
from training.errors import BundleRecordBroken, DeployUnderWay

STEP = StepRecord({"labels": "ab", "torch": "2.9"}, "late@v1", "2026-01-01T00:00:00Z")


def test_a_record_is_read_as_it_was_written_and_one_that_is_missing_is_empty(tmp_path: Path) -> None:
    record = BundleRecord.load(tmp_path, "late")
    assert record.steps == {}
    record.with_step("train", STEP).save()
    again = BundleRecord.load(tmp_path, "late")
    assert again.steps == {"train": STEP}
    again.with_step("register", STEP).save()
    assert BundleRecord.load(tmp_path, "late").steps == {"train": STEP, "register": STEP}
    assert BundleRecord.load(tmp_path, "other").steps == {}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "Expecting value"),
        ("[]", "it has no format 1"),
        ("{}", "it has no format 1"),
        ('{"format": 2, "steps": {}}', "it has no format 1"),
        ('{"format": 1, "steps": {}, "more": 1}', "it has no format 1"),
        ('{"format": 1, "steps": []}', "has no attribute"),
        ('{"format": 1, "steps": {"train": {}}}', "a step has inputs, output and at"),
        ('{"format": 1, "steps": {"train": {"inputs": [], "output": "", "at": ""}}}', "are texts"),
        (
            '{"format": 1, "steps": {"train": {"inputs": {}, "output": "", "at": "\\u001b[2J"}}}',
            "are texts of one line",
        ),
        (
            '{"format": 1, "steps": {"train": {"inputs": {"\\u001b[2J": ""}, "output": "", "at": ""}}}',
            "are texts of one line",
        ),
        ('{"format": 1, "steps": {"train": {"inputs": {"a": 1}, "output": "", "at": ""}}}', "are texts"),
        ("[" * 60_000, "recursion"),
        (" " * 70_000, "larger than 65,536 bytes"),
    ],
)
def test_a_broken_record_is_refused_with_its_mend(tmp_path: Path, content: str, why: str) -> None:
    BundleRecord.load(tmp_path, "late").save()
    path = tmp_path / "bundles" / "late.json"
    path.write_text(content)
    with pytest.raises(BundleRecordBroken) as caught:
        BundleRecord.load(tmp_path, "late")
    assert why in str(caught.value)
    assert str(caught.value).startswith(f"{path} is not a record of deployed steps")
    assert "Delete it: every step then runs again" in str(caught.value)


def test_the_written_file_is_json_for_people(tmp_path: Path) -> None:
    record = BundleRecord.load(tmp_path, "late").with_step("train", STEP)
    record.save()
    expected: dict[str, Any] = {
        "format": 1,
        "steps": {"train": {"inputs": {"labels": "ab", "torch": "2.9"}, "output": "late@v1", "at": STEP.at}},
    }
    assert json.loads(record.path.read_text()) == expected


def test_a_link_in_a_store_of_somebody_else_is_not_followed(tmp_path: Path) -> None:
    """The lock file gets the number of the process: a link would overwrite the file that it names."""
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "late.lock").symlink_to(precious)
    with pytest.raises(StoreWriteFailed), deploying(tmp_path, "late"):
        pass
    assert precious.read_text() == "kept"


def test_one_process_deploys_a_bundle_at_a_time(tmp_path: Path) -> None:
    with deploying(tmp_path, "late"):
        refused = pytest.raises(DeployUnderWay, match=r"process \d+ deploys model 'late' into this store; wait")
        with refused, deploying(tmp_path, "late"):
            pass
        with deploying(tmp_path, "other"):
            pass
    with deploying(tmp_path, "late"):
        pass
