"""What became of each site in a collection: who answered, who refused and why, who was absent, whose reports were lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from base.private_files import append_private

from .site_answer import NO_ANSWER, SiteAnswer

OK = "OK"


class SiteOutcome(StrEnum):
    """What became of a site."""

    ANSWERED = "answered"
    """Its answer arrived (`OK`), and every batch was taken. An answer may be empty."""
    REFUSED = "refused"
    """It refused the plan; its code says why."""
    ABSENT = "absent"
    """It did not answer the plan in time (`NO_ANSWER`)."""
    LOST = "lost"
    """It answered, but its answer was unreadable (`NONSENSE`) or an error (`NODE_FAILED`), or the leader refused a batch of it."""


@dataclass(frozen=True)
class SiteResult:
    """The result of one site, or of a node that named no site.

    Attributes:
        code: OK, the code of its refusal, or why there is no answer.
        batches: the number of sealed batches carried.
        refused: the number of batches that the leader refused, by reason.
    """

    code: str
    batches: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def state(self) -> SiteOutcome:
        """The state that follows."""
        match self.code:
            case "OK":
                return SiteOutcome.LOST if self.refused else SiteOutcome.ANSWERED
            case "NO_ANSWER":
                return SiteOutcome.ABSENT
            case "NONSENSE" | "NODE_FAILED":
                return SiteOutcome.LOST
            case _:
                return SiteOutcome.REFUSED

    def to_json(self) -> dict[str, Any]:
        """For results and progress files."""
        return {"state": self.state.value, "code": self.code, "batches": self.batches, "refused": dict(self.refused)}


class SiteResults:
    """The results of a collection's sites, kept in a file with one JSON line for each answer.

    A restarted coordinator reads the file, so it knows who answered before. A later answer of a site replaces its earlier one.

    Args:
        file: None: nothing is kept.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file, self._found = file, dict[str, SiteResult]()
        if file is not None and file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                data = json.loads(line)
                self._found[str(data["site"])] = SiteResult(
                    str(data["code"]), int(data["batches"]), dict(data["refused"])
                )

    def add(self, answer: SiteAnswer, refused: Mapping[str, int], seen: set[str]) -> None:
        """Add an answer. A node chooses the site that it names, so it cannot replace another node's answer in `seen`."""
        name = answer.site if answer.site and answer.site not in seen else f"node {answer.node}"
        seen.add(name)
        result = SiteResult(answer.code, len(answer.batches), refused)
        self._found[name] = result
        if self._file is not None:
            line = {"site": name, **result.to_json(), "bytes": sum(map(len, answer.batches))}
            append_private(self._file, json.dumps(line) + "\n")

    def of(self, roster: Iterable[str]) -> dict[str, SiteResult]:
        """The result of every site of the roster, and of the nodes that named none, by name."""
        absent = {site: SiteResult(NO_ANSWER) for site in roster if site not in self._found}
        return dict(sorted({**absent, **self._found}.items()))

    @property
    def reported(self) -> bool:
        """Whether the answer of a site arrived, also if it was refused here."""
        return any(one.code == OK for one in self._found.values())

    def answered(self, roster: Iterable[str]) -> int:
        """The number of sites of the roster that answered."""
        return sum(self._found[site].state is SiteOutcome.ANSWERED for site in roster if site in self._found)
