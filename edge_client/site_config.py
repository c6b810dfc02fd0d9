"""A site's configuration: its source of events, and the paths of its keys, ledger and policy. It holds no secret.

One TOML file per site:

site = "UA"
clients = 629                      # number of enrolled clients, as on the aggregators' rosters
keys = "../keys"                   # the folder with site-UA.key
ledger = "../ledgers/site-UA.db"
policy = "../policy.toml"          # pinned keys, views, ρ, k: see `policy_file`

[source]                           # see `sources/entries.py`
url = "ua.parquet"                 # or a folder, or a pattern such as "ua/*.csv"; relative to this file
client = "tailnum"
time = "arrived_at"
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from base.config import ConfigModel, FilePath, Text, Whole, checked
from base.errors import ConfigInvalid
from base.times import wall_clock
from base.toml import toml_entries
from crypto.errors import CryptoError
from federation.errors import FederationError
from federation.keys import load_keys, site_role
from federation.node_keys import NodeKey

from .errors import SiteFileMissing, SiteFileOutdated
from .policy import Policy
from .policy_file import load_policy
from .site import SiteSettings
from .sources.entries import SourceEntries
from .sources.parsing import source_of
from .sources.source import Source

OUTDATED: Final = frozenset({"events", "client_column", "time_column"})
"""The entries that stood in the place of `[source]` in files of earlier versions."""


class SiteEntries(ConfigModel):
    """The entries of a site's file, in their order in the file."""

    site: Text
    clients: Whole
    keys: FilePath
    ledger: FilePath
    policy: FilePath
    source: SourceEntries


@dataclass(frozen=True)
class SiteConfig:
    """A site that is ready to answer plans.

    Attributes:
        node: the key with which the site connects to a SuperLink, by the time at which it was loaded. **Secret.**
    """

    settings: SiteSettings
    source: Source
    node: NodeKey = field(repr=False)


def site_files(folder: Path) -> list[Path]:
    """The configuration files of a folder, in order of name. Simulated nodes get their sites in this order."""
    return sorted(folder.glob("*.toml"))


def load_site(folder: Path, node: Mapping[str, Any]) -> SiteConfig:
    """Load the site of a Flower node: `site` of its node config, or in a simulation the file number `partition-id`.

    Raises:
        ConfigInvalid: no such site, or a file that cannot be used.
    """
    if (named := node.get("site")) is not None:
        return load_config(folder / f"{named}.toml")
    files = site_files(folder)
    number = int(node.get("partition-id", -1))
    if not 0 <= number < len(files):
        raise ConfigInvalid(
            str(folder), f"the folder has {len(files)} site files; the node asks for number {number}, counted from 0"
        )
    return load_config(files[number])


def load_config(path: Path) -> SiteConfig:
    """Read and check a site's file and the policy that it names.

    Raises:
        SiteFileMissing, PolicyMissing. ConfigInvalid: not TOML, a missing, invalid or unknown entry, or keys that cannot be
            used.
    """
    entries = _entries(path)
    try:
        keys = load_keys(entries.keys, site_role(entries.site))
    except (FederationError, CryptoError) as error:
        raise ConfigInvalid(str(path), str(error)) from None
    settings = SiteSettings(entries.site, keys, entries.clients, _policy(entries), entries.ledger)
    node = keys.at(wall_clock()).node
    assert node is not None  # a site's keys have a node key
    return SiteConfig(settings, source_of(entries.source, path), node)


def rules_of(path: Path) -> tuple[Policy, Path]:
    """The policy of a site's file, with the site's time column added, and the path of the ledger. Reads no key.

    Raises:
        SiteFileMissing, PolicyMissing, ConfigInvalid.
    """
    entries = _entries(path)
    return _policy(entries), entries.ledger


def source_in(path: Path) -> Source:
    """The source of a site's file. Reads no key. Raises as `rules_of`."""
    return source_of(_entries(path).source, path)


def config_to_toml(entries: Mapping[str, str | int], source: Mapping[str, str]) -> str:
    """The text that `load_config` reads.

    Args:
        entries: a value for each field of `SiteEntries`, but for the source. source: the entries of `[source]`.
    """
    names = [name for name in SiteEntries.model_fields if name != "source"]
    return "".join(
        [
            *(toml_line(name, entries[name]) for name in names),
            "\n[source]\n",
            *(toml_line(*entry) for entry in source.items()),
        ]
    )


def toml_line(name: str, value: str | int) -> str:
    """An entry of a TOML file."""
    return f"{name} = {json.dumps(value, ensure_ascii=False)}\n"


def _entries(path: Path) -> SiteEntries:
    try:
        entries = toml_entries(path)
    except FileNotFoundError:
        raise SiteFileMissing(str(path)) from None
    if "source" not in entries and entries.keys() >= OUTDATED:
        raise SiteFileOutdated(str(path))
    return checked(SiteEntries, entries, path)


def _policy(entries: SiteEntries) -> Policy:
    policy = load_policy(entries.policy)
    return replace(policy, time_columns=(*policy.time_columns, entries.source.time))
