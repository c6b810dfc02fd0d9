"""`roles/coordinator/answers.jsonl`: what became of each site in the last plans, so that an operator can look later.

One line is one plan. The file keeps the newest plans only, and nothing is decided from it: a line that cannot be read is skipped,
and a line that cannot be written is logged.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from base.atomic_files import replace_file
from base.errors import CoveyError
from base.private_files import append_private, private_folder

from .site_results import SiteResult

MAX_BYTES: Final = 2**22
"""Beyond, the older half of the plans is forgotten: 1,000 plans with 40 sites fit."""
_FILE: Final = "answers.jsonl"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlanAnswers:
    """What became of each site in one plan.

    Attributes:
        at_us: when the plan ended, µs since the epoch.
        views: the views that it was about.
        announced: whether the sites were asked for reports; else they only said what they would answer.
        sites: by site, or by `node N` for a node that named none.
    """

    at_us: int
    views: tuple[str, ...]
    announced: bool
    sites: Mapping[str, SiteResult]


class AnswerLog:
    """The answers that a project's coordinator has received.

    Args:
        project: its directory.
    """

    def __init__(self, project: Path) -> None:
        self.path = project / "roles" / "coordinator" / _FILE

    def add(self, result: Mapping[str, Any], now_us: int) -> None:
        """Append the result of a plan that has just ended; see `publication.summary_of`."""
        if not result["sites"]:
            return
        line = {
            "at_us": now_us,
            "views": sorted(result["views"]),
            "announced": result.get("announced", True),  # an earlier version's result does not say it
            "sites": result["sites"],
        }
        try:
            private_folder(self.path.parent)
            append_private(self.path, json.dumps(line) + "\n")
            if self.path.stat().st_size > MAX_BYTES:
                self._forget()
        except (OSError, CoveyError) as error:
            log.warning("the answers of the sites are not kept: %s", error)

    def read(self) -> list[PlanAnswers]:
        """The kept plans, the oldest first."""
        return list(self._read())

    def _read(self) -> Iterator[PlanAnswers]:
        with suppress(OSError):
            for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
                with suppress(ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError):
                    yield _plan_of(json.loads(line))

    def _forget(self) -> None:
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        replace_file(self.path, "".join(lines[-(len(lines) // 2) :]), private=True, durable=False)


def _plan_of(data: Mapping[str, Any]) -> PlanAnswers:
    sites = {
        _text(site): SiteResult(_text(one["code"]), _number(one["batches"]), dict(one["refused"]))
        for site, one in data["sites"].items()
    }
    return PlanAnswers(_number(data["at_us"]), tuple(map(_text, data["views"])), bool(data["announced"]), sites)


def _text(value: object) -> str:
    """A text without half of a surrogate pair. Raises ValueError."""
    text = str(value)
    text.encode()
    return text


def _number(value: Any) -> int:
    """A count or a time. Raises ValueError, OverflowError."""
    number = int(value)
    if not 0 <= number < 2**63:
        raise ValueError(f"{number} is no int64 from 0")
    return number
