"""A site's configuration file: where its events and keys are, whom it trusts. One TOML file a site, paths only, no secret.

site = "UA"
events = "ua.parquet"              # relative to this file
client_column = "tailnum"
time_column = "arrived_at"
keys = "../keys"                   # the folder with site-UA.key
report_ids = "../roles/site-UA/report_ids.db"
coordinator = "…"                  # base64 of its Ed25519 key, as in covey.toml
leader = "covey-public-1 leader …"
helper = "covey-public-1 helper …"
allow_noise_off = false
"""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from crypto.errors import CryptoError
from crypto.signing import VerifyKey
from federation.errors import FederationError
from federation.keys import load_keys, public_from_line, site_role

from .errors import EdgeError
from .site import SiteSettings

_TEXTS: Final = (
    "site", "events", "client_column", "time_column", "keys", "report_ids", "coordinator", "leader", "helper",
)  # fmt: skip


class SiteConfigError(EdgeError):
    """A site's configuration that cannot be used; names the file and what is wrong."""


@dataclass(frozen=True)
class SiteConfig:
    """A site, ready to answer plans."""

    settings: SiteSettings
    events: Path
    client_column: str
    time_column: str


def site_files(folder: Path) -> list[Path]:
    """The configuration files of a folder, in order of name: the order in which simulated nodes are given a site."""
    return sorted(folder.glob("*.toml"))


def load_site(folder: Path, node: Mapping[str, Any]) -> SiteConfig:
    """The site that a Flower node is: `site` of its node config, or the one of its `partition-id` in a simulation.

    Raises:
        SiteConfigError: no such site, or a file that cannot be used.
    """
    if "site" in node:
        return load_config(folder / f"{node['site']}.toml")
    files = site_files(folder)
    number = int(node.get("partition-id", -1))
    if not 0 <= number < len(files):
        raise SiteConfigError(f"{folder} has {len(files)} sites; the node asks for number {number}")
    return load_config(files[number])


def load_config(path: Path) -> SiteConfig:
    """Read and check one file.

    Raises:
        SiteConfigError: missing, not TOML, a missing, odd or unknown entry, or keys that cannot be used.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SiteConfigError(f"no site configuration {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SiteConfigError(f"{path} is not TOML: {error}") from None
    unknown = sorted(set(data) - set(_TEXTS) - {"allow_noise_off"})
    if unknown:
        raise SiteConfigError(f"{path}: unknown entries {', '.join(unknown)}")
    for name in _TEXTS:
        if not isinstance(data.get(name), str) or not data[name]:
            raise SiteConfigError(f"{path}: {name!r} must be a text")
    if not isinstance(data.get("allow_noise_off", False), bool):
        raise SiteConfigError(f"{path}: 'allow_noise_off' must be true or false")
    here = path.parent
    try:
        keys = load_keys(here / data["keys"], site_role(data["site"]))
        pinned = {}
        coordinator = VerifyKey(base64.b64decode(data["coordinator"], validate=True))
        for role in ("leader", "helper"):
            found, pinned[role] = public_from_line(data[role] + "\n", f"{path}: {role}")
            if found != role:
                raise SiteConfigError(f"{path}: {role!r} holds the keys of {found}")
    except (FederationError, CryptoError, ValueError) as error:
        raise SiteConfigError(f"{path}: {error}") from None
    settings = SiteSettings(
        data["site"],
        keys.sign,
        coordinator,
        pinned["leader"],
        pinned["helper"],
        here / data["report_ids"],
        data.get("allow_noise_off", False),
    )
    return SiteConfig(settings, here / data["events"], data["client_column"], data["time_column"])
