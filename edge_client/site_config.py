"""A site's configuration: the paths of its events, keys, ledger and policy. One TOML file per site; it holds no secret.

site = "UA"
clients = 629                      # number of enrolled clients, as on the aggregators' rosters
events = "ua.parquet"              # or a folder, or a pattern such as "ua/*.csv"; relative to this file
client_column = "tailnum"
time_column = "arrived_at"
keys = "../keys"                   # the folder with site-UA.key
ledger = "../ledgers/site-UA.db"
policy = "../policy.toml"          # pinned keys, views, ρ, k: see `policy_file`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from base.config import ConfigModel, FilePath, Text, Whole, checked
from base.errors import ConfigInvalid
from base.times import wall_clock
from base.toml import toml_entries
from crypto.errors import CryptoError
from federation.errors import FederationError
from federation.keys import load_keys, site_role
from federation.node_keys import NodeKey

from .errors import SiteFileMissing
from .policy import Policy
from .policy_file import load_policy
from .site import SiteSettings
from .sources.files.cache import EventCache


class SiteEntries(ConfigModel):
    """The entries of a site's file, in their order in the file."""

    site: Text
    clients: Whole
    events: FilePath
    client_column: Text
    time_column: Text
    keys: FilePath
    ledger: FilePath
    policy: FilePath


@dataclass(frozen=True)
class SiteConfig:
    """A site that is ready to answer plans.

    Attributes:
        node: the key with which the site connects to a SuperLink, by the time at which it was loaded. **Secret.**
        cache: the files of events that a running site has read before. None: each plan reads all of them.
    """

    settings: SiteSettings
    events: Path
    client_column: str
    time_column: str
    node: NodeKey = field(repr=False)
    cache: EventCache | None = field(default=None, repr=False, compare=False)


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
    return SiteConfig(settings, entries.events, entries.client_column, entries.time_column, node)


def rules_of(path: Path) -> tuple[Policy, Path]:
    """The policy of a site's file, with the site's time column added, and the path of the ledger. Reads no key.

    Raises:
        SiteFileMissing, PolicyMissing, ConfigInvalid.
    """
    entries = _entries(path)
    return _policy(entries), entries.ledger


def event_columns(path: Path) -> tuple[Path, str, str]:
    """The events of a site's file, and their columns of clients and times. Reads no key. Raises as `rules_of`."""
    entries = _entries(path)
    return entries.events, entries.client_column, entries.time_column


def config_to_toml(entries: Mapping[str, str | int]) -> str:
    """The text that `load_config` reads, with a value for each field of `SiteEntries`."""
    names = SiteEntries.model_fields
    return "".join(f"{name} = {json.dumps(entries[name], ensure_ascii=False)}\n" for name in names)


def _entries(path: Path) -> SiteEntries:
    try:
        return checked(SiteEntries, toml_entries(path), path)
    except FileNotFoundError:
        raise SiteFileMissing(str(path)) from None


def _policy(entries: SiteEntries) -> Policy:
    policy = load_policy(entries.policy)
    return replace(policy, time_columns=(*policy.time_columns, entries.time_column))
