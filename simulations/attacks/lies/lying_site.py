"""The ClientApp of a fleet in which one site lies: the honest one, with liars where that site's reports are protected."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deployment.errors import RunRefused
from deployment.local.processes_run import SiteApp
from edge_client.flower_app import SITES_VARIABLE, client_app
from edge_client.plan_messages import honestly
from federation.protocol import Protect

from .liars import Liars

LIARS: Final = "liars.json"
"""Beside the folder of the sites' configurations."""


@dataclass(frozen=True)
class LyingSite:
    """A site of a simulated fleet whose first clients of each pane lie, as a file of the fleet's project.

    Attributes:
        kinds, keys: see `Liars`.
    """

    site: str
    kinds: tuple[str, ...]
    keys: Mapping[str, int] = field(default_factory=dict)

    @property
    def site_app(self) -> SiteApp:
        """What a simulated fleet with this site in it runs."""
        return SiteApp(
            f"{__name__}:app",
            {LIARS: json.dumps({"site": self.site, "kinds": self.kinds, "keys": dict(self.keys)})},
        )

    @classmethod
    def load(cls, path: Path) -> LyingSite:
        """Read the file. Raises RunRefused: it is none."""
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(str(data["site"]), tuple(map(str, data["kinds"])), {k: int(v) for k, v in data["keys"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunRefused(f"{path} names no lying site: {error}") from None


def _protecting(site: str) -> Protect:
    lying = LyingSite.load(Path(os.environ[SITES_VARIABLE]).parent / LIARS)
    return Liars(lying.kinds, lying.keys).protect if site == lying.site else honestly(site)


app = client_app(_protecting)
