"""A site's configuration: where its events, keys and ledger are, and which policy it follows. One TOML file a site, no secret.

site = "UA"
clients = 629                      # enrolled here, as on the aggregators' rosters
events = "ua.parquet"              # relative to this file
client_column = "tailnum"
time_column = "arrived_at"
keys = "../keys"                   # the folder with site-UA.key
ledger = "../ledgers/site-UA.db"
policy = "../policy.toml"          # pinned keys, views, rho, k: see `policy_file`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from crypto.errors import CryptoError
from federation.errors import FederationError
from federation.keys import load_keys, site_role
from federation.node_keys import NodeKey

from .errors import ConfigError
from .policy import Policy
from .policy_file import load_policy
from .site import SiteSettings
from .toml_file import TomlFile

ENTRIES: Final = ("site", "clients", "events", "client_column", "time_column", "keys", "ledger", "policy")
_MEND: Final = "`covey start site ID --events FILE …` writes one"


@dataclass(frozen=True)
class SiteConfig:
    """A site, ready to answer plans.

    Attributes:
        node: what it connects to a SuperLink with. **Secret.**
    """

    settings: SiteSettings
    events: Path
    client_column: str
    time_column: str
    node: NodeKey = field(repr=False)


def site_files(folder: Path) -> list[Path]:
    """The configuration files of a folder, in order of name: the order in which simulated nodes are given a site."""
    return sorted(folder.glob("*.toml"))


def load_site(folder: Path, node: Mapping[str, Any]) -> SiteConfig:
    """The site that a Flower node is: `site` of its node config, or the one of its `partition-id` in a simulation.

    Raises:
        ConfigError: no such site, or a file that cannot be used.
    """
    if "site" in node:
        return load_config(folder / f"{node['site']}.toml")
    files = site_files(folder)
    number = int(node.get("partition-id", -1))
    if not 0 <= number < len(files):
        raise ConfigError(str(folder), f"it has {len(files)} sites; the node asks for number {number}")
    return load_config(files[number])


def load_config(path: Path) -> SiteConfig:
    """Read and check one file and the policy that it points to.

    Raises:
        ConfigError: missing, not TOML, a missing, odd or unknown entry, or keys that cannot be used.
    """
    file = TomlFile.read(path, ENTRIES, _MEND)
    here, site = path.parent, file.text("site")
    try:
        keys = load_keys(here / file.text("keys"), site_role(site))
    except (FederationError, CryptoError) as error:
        file.fail(str(error))
    policy, ledger = rules_of(path)
    settings = SiteSettings(site, keys.sign, file.whole("clients"), policy, ledger)
    assert keys.node is not None  # of a site's
    columns = file.text("client_column"), file.text("time_column")
    return SiteConfig(settings, here / file.text("events"), *columns, keys.node)


def rules_of(path: Path) -> tuple[Policy, Path]:
    """The policy of a site's file, with its own time column, and where its ledger is; asks for no key. Raises ConfigError."""
    file = TomlFile.read(path, ENTRIES, _MEND)
    policy = load_policy(path.parent / file.text("policy"))
    own = (*policy.time_columns, file.text("time_column"))
    return replace(policy, time_columns=own), path.parent / file.text("ledger")


def config_to_toml(entries: Mapping[str, str | int]) -> str:
    """The text that `load_config` reads, of an entry for each of `ENTRIES`."""
    return "".join(f"{name} = {json.dumps(entries[name], ensure_ascii=False)}\n" for name in ENTRIES)
