"""A coordinator's unfinished plan. It is on disk from before its announcement until its publication.

A charged pane belongs to one plan: another plan can take it only if it names that one. So `roles/coordinator/unfinished/` holds
the plan and its progress, and a restarted coordinator continues it or gives it up. Sites and aggregators answer a repeated
request with the same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from base.atomic_files import created_folder
from base.errors import LockHeld
from base.locks import lock_file
from base.private_files import private_folder
from deployment.coordinator.job import Job
from deployment.errors import UsageError

_JOB: Final = "job.json"


class Unfinished:
    """The unfinished plan of a project, if there is one. Use it inside `at_work`."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._role = project / "roles" / "coordinator"
        self.folder = self._role / "unfinished"

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Lock the project for one coordinator. Raises UsageError while another one runs in this project."""
        try:
            lock = lock_file(private_folder(self._role) / "lock", private=True, wait=False)
        except LockHeld:
            raise UsageError(f"another coordinator runs in {self._project}; wait until it ends") from None
        with lock:
            yield

    def require_none(self) -> None:
        """Return if no plan is unfinished. Raises UsageError, with both mends, if one is."""
        if self.folder.exists():
            raise UsageError(
                f"an unfinished plan is in {self.folder}; resume it, or give it up: its panes are then due again",
                settings=("resume", "give_up"),
            )

    def begin(self, job: Job) -> Job:
        """Keep a plan durably; returns the job with its files in this folder."""
        kept = replace(job, result=self.folder / "result.json", progress=self.folder / "progress.jsonl")
        with created_folder(self.folder) as made:
            kept.save(made / _JOB)
        return kept

    def load(self) -> Job:
        """Read the job of the unfinished plan. Raises UsageError: there is none. JobMalformed."""
        if not self.folder.exists():
            raise UsageError(f"there is no unfinished plan to resume in {self.folder}; start a new one")
        return Job.load(self.folder / _JOB)

    def save(self, job: Job) -> None:
        """Save a changed job, such as new addresses of the other roles."""
        job.save(self.folder / _JOB)

    def finish(self) -> None:
        """Delete the plan, which is published."""
        shutil.rmtree(self.folder)
