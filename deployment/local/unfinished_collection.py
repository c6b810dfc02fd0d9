"""A coordinator's unfinished plan. It is on disk from before its announcement until its publication.

A charged pane belongs to one plan: another plan can take it only if it names that one. So `roles/coordinator/unfinished/` holds
the plan and its progress, and a restarted coordinator continues it or gives it up. Sites and aggregators answer a repeated
request with the same bytes.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

from base.atomic_files import created_folder
from base.private_files import private_folder
from deployment.collecting import plan_folder
from deployment.coordinator.job import Job
from deployment.errors import UsageError

_JOB: Final = "job.json"


class Unfinished:
    """The unfinished plan of a project, if there is one. Use it inside `collecting`, to write."""

    def __init__(self, project: Path) -> None:
        self.folder = plan_folder(project)

    def begin(self, job: Job) -> Job:
        """Keep a plan durably; returns the job with its files in this folder."""
        kept = replace(job, result=self.folder / "result.json", progress=self.folder / "progress.jsonl")
        private_folder(self.folder.parent)
        with created_folder(self.folder) as made:
            kept.save(made / _JOB)
        return kept

    def require(self) -> None:
        """Return if there is an unfinished plan. Raises UsageError."""
        if not self.folder.exists():
            raise UsageError(f"there is no unfinished plan to resume in {self.folder}; start a new one")

    def load(self) -> Job:
        """Read the job of the unfinished plan. Raises UsageError: there is none. JobMalformed."""
        self.require()
        return Job.load(self.folder / _JOB)

    def save(self, job: Job) -> None:
        """Save a changed job, such as new addresses of the other roles."""
        job.save(self.folder / _JOB)

    def finish(self) -> None:
        """Delete the plan, which is published."""
        shutil.rmtree(self.folder)
