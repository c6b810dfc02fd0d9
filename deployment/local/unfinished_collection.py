"""The plan that a coordinator has in hand, on disk from before it is announced until it is published.

A pane is taken by one plan for good: a coordinator that forgot its plan could never collect those panes under another one.
So `roles/coordinator/unfinished/` holds the plan and how far it is, and whoever finds it there continues that plan. Sites
and aggregators answer a repeat with the same bytes.
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
from deployment.coordinator.job import ANNOUNCED, Job
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
        """One coordinator at a time. Raises UsageError while another one is at work in this project."""
        try:
            lock = lock_file(private_folder(self._role) / "lock", private=True, wait=False)
        except LockHeld:
            raise UsageError(f"another coordinator is at work in {self._project}; wait for it to end") from None
        with lock:
            yield

    def require_none(self) -> None:
        """Raises UsageError, with both ways on, if a plan is unfinished."""
        if self.folder.exists():
            resume = f"`covey start coordinator --resume --project {self._project}` continues it"
            announced = (self.folder / ANNOUNCED).is_file()
            price = "its panes may stay closed for good" if announced else "no site has seen it, so nothing is lost"
            raise UsageError(
                f"an unfinished plan is in {self.folder}: {resume} (to give it up, move the folder away: {price})"
            )

    def begin(self, job: Job) -> Job:
        """Keep a plan, on disk when this returns; the job as it is to be run."""
        kept = replace(job, result=self.folder / "result.json", progress=self.folder / "progress.jsonl")
        with created_folder(self.folder) as made:
            kept.save(made / _JOB)
        return kept

    def load(self) -> Job:
        """The plan in hand. Raises UsageError: there is none. JobMalformed."""
        if not self.folder.exists():
            raise UsageError(f"no unfinished plan in {self.folder}; without --resume a new one begins")
        return Job.load(self.folder / _JOB)

    def save(self, job: Job) -> None:
        """Change how the plan is carried out: where the others listen."""
        job.save(self.folder / _JOB)

    def finish(self) -> None:
        """The plan is published: forget it."""
        shutil.rmtree(self.folder)
