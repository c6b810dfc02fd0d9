"""The ClientApp of a fleet with one lying site: the honest ClientApp, with liars among the reports of that site."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from deployment.errors import RunRefused
from deployment.local.processes_run import SiteApp
from edge_client.flower_app import SITES_VARIABLE, client_app
from federation.sharding import Protect

from .lying_site import LyingSite

LIARS: Final = "liars.json"
"""The file stands next to the folder of the sites' configurations."""


def site_app_of(lying: LyingSite) -> SiteApp:
    """Return the ClientApp of a fleet with this lying site, as files of the fleet's project."""
    text = json.dumps({"site": lying.site, "kinds": lying.kinds, "keys": dict(lying.keys)})
    return SiteApp(f"{__name__}:app", {LIARS: text})


def load_lying_site(path: Path) -> LyingSite:
    """Read the file of the lying site. Raises RunRefused: the file is invalid."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        keys = {name: int(key) for name, key in data["keys"].items()}
        return LyingSite(str(data["site"]), tuple(map(str, data["kinds"])), keys)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunRefused(f"{path} names no lying site: {error}") from None


def _protecting(site: str) -> Protect:
    return load_lying_site(Path(os.environ[SITES_VARIABLE]).parent / LIARS).protect_of(site)


app = client_app(_protecting)
