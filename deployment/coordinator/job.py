"""A coordinator's job file: `covey run` writes it, the ServerApp reads it. It contains paths and no secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from base.atomic_files import replace_file
from base.locks import lock_file
from deployment.errors import JobMalformed
from featurestore.define.release import Clock
from federation.keys import RoleKeys, load_keys
from federation.plan import plan_from_bytes

ANNOUNCED: Final = "announced.json"


@dataclass(frozen=True)
class Job:
    """One collection that a coordinator runs.

    Attributes:
        plan: canonical bytes of the plan, with its parties.
        keys: the folder with the coordinator's and the collector's keys.
        leader, helper: `host:port` of the services; under `he`, `helper` is the key holder.
        store: the project directory whose store gets the releases.
        sites: the number of nodes that the coordinator waits for; `seconds`: the time that the sites have.
        min_sites: the number of sites that must have answered before anything is opened.
        clock: the clock of the releases; see `featurestore.define.release.Clock`.
        keeps_due: whether unopened panes stay due, for later plans of this coordinator. Otherwise they are published void.
        result: the file that appears when all is published, and never before.
        progress: a file with one JSON line for each site's answer.
    """

    plan: bytes
    keys: Path
    leader: str
    helper: str
    store: Path
    sites: int
    seconds: float
    result: Path
    progress: Path
    min_sites: int = 0
    keeps_due: bool = False
    clock: Clock = "replay"

    def keys_of(self, role: Literal["coordinator", "collector"]) -> RoleKeys:
        """The keys of a role for this plan. Raises KeyFileError."""
        return load_keys(self.keys, role).at(plan_from_bytes(self.plan).deadline_us)

    def save(self, path: Path) -> None:
        """Write the job file durably."""
        data = {
            "plan": base64.b64encode(self.plan).decode("ascii"),
            "leader": self.leader,
            "helper": self.helper,
            "sites": self.sites,
            "seconds": self.seconds,
            "min_sites": self.min_sites,
            "keeps_due": self.keeps_due,
            "clock": self.clock,
            **{name: str(getattr(self, name).absolute()) for name in ("keys", "store", "result", "progress")},
        }
        replace_file(path, json.dumps(data), private=True)

    @classmethod
    def load(cls, path: Path) -> Job:
        """Read a job file. Raises JobMalformed."""
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                base64.b64decode(data["plan"], validate=True),
                Path(data["keys"]),
                str(data["leader"]),
                str(data["helper"]),
                Path(data["store"]),
                int(data["sites"]),
                float(data["seconds"]),
                Path(data["result"]),
                Path(data["progress"]),
                int(data["min_sites"]),
                bool(data["keeps_due"]),
                "live" if data["clock"] == "live" else "replay",
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JobMalformed(f"{path} is not a coordinator's job file: {error}") from None

    @property
    def failure(self) -> Path:
        """The file with the reason why the coordinator gave up."""
        return self.result.with_suffix(".failed")

    @property
    def announced(self) -> Path:
        """The file with the opened plan; a restarted coordinator continues with it."""
        return self.result.with_name(ANNOUNCED)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the job: one process at a time runs it, and other processes wait until that one has ended."""
        with lock_file(self.result.with_suffix(".lock"), private=True, wait=True):
            yield

    def fail(self, why: str, *, lost: bool = False) -> None:
        """Record why the coordinator gave up. An immediate retry would not help; if the plan is `lost`, no retry would."""
        replace_file(self.failure, json.dumps({"why": why, "lost": lost}), private=True)

    @property
    def failed(self) -> tuple[str, bool] | None:
        """The reason why the coordinator gave up, and whether the plan is lost; None if it has not given up."""
        if not self.failure.is_file():
            return None
        failure = json.loads(self.failure.read_text(encoding="utf-8"))
        return str(failure["why"]), bool(failure["lost"])

    def finish(self, result: dict[str, object]) -> None:
        """Rename the result into place: the collection is published."""
        replace_file(self.result, json.dumps(result), private=True)
