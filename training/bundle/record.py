"""`store/bundles/NAME.json`: what each step of a bundle was made from, and what came out. The registry stays the truth.

The file is replaced as a whole after each step. So a deployment that is cut off goes on with the step that was not finished.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from base.atomic_files import replace_file
from featurestore.store_files import writing
from training.errors import BundleRecordBroken

FOLDER: Final = "bundles"
_FORMAT: Final = 1
_MAX_BYTES: Final = 2**16


def bundle_folder(root: Path) -> Path:
    """The folder of the records of a store; `root` is the store's own folder."""
    return root / FOLDER


@dataclass(frozen=True)
class StepRecord:
    """A step that was done.

    Attributes:
        inputs: what it was made from, by name; hashes and versions.
        output: what later steps and runs need to find what it made.
        at: when it was done, UTC.
    """

    inputs: Mapping[str, str]
    output: str
    at: str

    @classmethod
    def of(cls, read: Any) -> Self:
        """Parse one. Raises ValueError."""
        if not isinstance(read, dict) or read.keys() != {"inputs", "output", "at"}:
            raise ValueError("a step has inputs, output and at")
        inputs, output, at = read["inputs"], read["output"], read["at"]
        texts = (output, at, *inputs.values()) if isinstance(inputs, dict) else (None,)
        if not all(isinstance(text, str) and text.isprintable() for text in (*texts, *(inputs or ()))):
            raise ValueError("the inputs, the output and the time of a step are texts of one line")
        return cls(inputs, output, at)


@dataclass(frozen=True)
class BundleRecord:
    """The steps of a bundle that were done, by name."""

    path: Path
    steps: Mapping[str, StepRecord]

    @classmethod
    def load(cls, root: Path, name: str) -> Self:
        """Read the record of a bundle; one that does not exist has no steps. Raises BundleRecordBroken."""
        path = bundle_folder(root) / f"{name}.json"
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            return cls(path, {})
        except OSError as error:
            raise BundleRecordBroken(str(path), error.strerror or str(error)) from None
        try:
            if len(content) > _MAX_BYTES:
                raise ValueError(f"it is larger than {_MAX_BYTES:,} bytes")
            read = json.loads(content)
            if not isinstance(read, dict) or read.keys() != {"format", "steps"} or read["format"] != _FORMAT:
                raise ValueError(f"it has no format {_FORMAT}")
            return cls(path, {str(step): StepRecord.of(one) for step, one in read["steps"].items()})
        except (ValueError, AttributeError, RecursionError) as error:
            raise BundleRecordBroken(str(path), str(error)) from None

    def with_step(self, step: str, done: StepRecord) -> Self:
        """The record with a step that was done."""
        return type(self)(self.path, {**self.steps, step: done})

    def save(self) -> None:
        """Write the file. Raises StoreWriteFailed."""
        steps = {name: {**vars(one), "inputs": dict(one.inputs)} for name, one in self.steps.items()}
        text = json.dumps({"format": _FORMAT, "steps": steps}, indent=1) + "\n"
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, text, private=False)
