"""What one `covey up` runs, kept in `roles/up/` for the supervisor, which is a process of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.atomic_files import replace_file
from base.private_files import private_folder
from deployment.errors import DeploymentStateBroken

_REQUEST: Final = "deployment.json"
LOGS: Final = "logs"


def up_folder(project: Path) -> Path:
    """The folder of a supervised deployment: its request, state, lock and logs."""
    return project / "roles" / "up"


def log_folder(project: Path) -> Path:
    """The folder of the roles' logs."""
    return up_folder(project) / LOGS


@dataclass(frozen=True)
class Deployment:
    """A deployment on one machine.

    Attributes:
        project: the project's directory, absolute.
        addresses: `host:port` of each service that runs here, by its role.
        sites: the ids of the sites that run here.
        backfill: the arguments of `covey start coordinator`, which collects once; None: no backfill.
        collection: the arguments of `covey collect`, which stays; None: an unfinished plan is continued, no more.
    """

    project: Path
    addresses: Mapping[str, str]
    sites: tuple[str, ...]
    backfill: tuple[str, ...] | None
    collection: tuple[str, ...] | None

    def save(self) -> None:
        """Keep it for the supervisor."""
        text = json.dumps(
            {
                "project": str(self.project),
                "addresses": dict(self.addresses),
                "sites": list(self.sites),
                "backfill": None if self.backfill is None else list(self.backfill),
                "collection": None if self.collection is None else list(self.collection),
            }
        )
        replace_file(private_folder(up_folder(self.project)) / _REQUEST, text, private=True)

    @classmethod
    def load(cls, project: Path) -> Deployment:
        """Read what `save` wrote. Raises DeploymentStateBroken."""
        path = up_folder(project) / _REQUEST
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            backfill, collection = (
                None if read[one] is None else tuple(read[one]) for one in ("backfill", "collection")
            )
            return cls(Path(read["project"]), dict(read["addresses"]), tuple(read["sites"]), backfill, collection)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DeploymentStateBroken(str(path), str(error)) from None
