"""Folders of runs and sweeps. A folder with its final name is complete: it is written as `NAME.part` and then renamed.

RUN/      run.json, values.parquet, store/, truth/, report.html. An attack has no values and no stores. A lie has honest/,
          without-proofs/ and with-proofs/, each with both stores, instead of values.
SWEEP/    sweep.json, runs/001/ …, results.parquet, report.html
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from base.atomic_files import replace_file
from base.private_files import private_folder
from deployment.errors import ItemMissing, UsageError

RUN, SWEEP, PLAN = "run.json", "sweep.json", "plan.json"
RESULTS, RUNS = "results.parquet", "runs"
MAX_JSON_BYTES: Final = 2**28
_PART: Final = ".part"


def new_folder(out: Path | None, name: str, now: datetime) -> Path:
    """Choose the folder of a run or a sweep.

    Raises:
        UsageError: the folder exists, or a file is in its path.
    """
    if out is None:
        stem = f"{now.astimezone(UTC):%Y-%m-%d_%H%M%S}_{name}"
        tries = (Path("lab-runs") / (stem if at == 1 else f"{stem}-{at}") for at in range(1, 1_000))
        out = next(one for one in tries if not one.exists() and not part_of(one).exists())
    if file := next((one for one in out.parents if one.exists() and not one.is_dir()), None):
        raise UsageError(f"{file} is a file, so it cannot contain a folder. Choose another --out")
    if out.is_file() or (out.is_dir() and any(out.iterdir())) or part_of(out).exists():
        begun = (out / SWEEP).is_file() or (out / RUN).is_file() or part_of(out).exists()
        raise UsageError(f"{out} exists already. Choose another --out{f', or --resume {out}' if begun else ''}")
    return out


def part_of(folder: Path) -> Path:
    """Return the path of the folder while it is incomplete."""
    return folder.parent / f"{folder.name}{_PART}"


def begin(folder: Path, overrides: tuple[str, ...]) -> Path:
    """Make an empty folder for a run, and record its overrides for `resume`. Files of an earlier try are deleted."""
    part = part_of(folder)
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    private_folder(part)  # it holds the true values beside the released ones
    write_json(part / PLAN, {"overrides": list(overrides)})
    return part


def finish(folder: Path) -> None:
    """Rename a complete run to its final name, and delete an earlier failed run."""
    part = part_of(folder)
    if folder.exists():
        shutil.rmtree(folder)
    part.replace(folder)
    (folder / PLAN).unlink()


def finished_run(folder: Path) -> dict[str, Any] | None:
    """Return run.json of a run that finished or failed; None if there is none."""
    return read_json(folder / RUN) if (folder / RUN).is_file() else None


def is_done(folder: Path) -> bool:
    """Return whether a run has finished without an error."""
    run = finished_run(folder)
    return run is not None and run.get("status") == "done"


def planned_overrides(folder: Path) -> tuple[str, ...]:
    """Return the overrides of a single run, finished or not.

    Raises:
        ItemMissing: the folder holds no run.
    """
    for path in (folder / RUN, part_of(folder) / PLAN):
        if path.is_file():
            return texts(read_json(path).get("overrides"), path)
    raise ItemMissing(f"{folder} has no {SWEEP} and no {RUN}, so there is nothing to resume")


def texts(value: object, path: Path) -> tuple[str, ...]:
    """Check that a value read from `path` is a list of texts."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"{path} is damaged: `overrides` is no list of texts")
    return tuple(value)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises UsageError: the file is damaged."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise UsageError(f"{path} is damaged: it has more than {MAX_JSON_BYTES:,} bytes")
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{path} is damaged: it holds no JSON object")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object atomically."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    replace_file(path, text, private=False, durable=False)
