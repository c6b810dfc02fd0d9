"""`covey.toml`, the public part of a project: its parties, the roster of its sites, and the budget of a client-day.

Each operator keeps its own copy: an aggregator uses the roster and the budget of *its* file. The file contains no secret.
Other modules read sections that this module does not know; it ignores them.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from base.errors import ConfigInvalid
from base.toml import toml_entries
from crypto.signing import VerifyKey
from deployment.errors import ProjectMissing, UsageError
from featurestore.online.settings import MAX_FILE_BYTES, SERVING
from featurestore.online.settings import TABLE as ONLINE
from federation.config_values import allowed_text, former_keys_of, former_to_toml
from federation.errors import PartyInvalid
from federation.former_keys import NO_FORMER_KEYS, FormerKeys, PinnedKey
from federation.keys import site_role
from federation.ledger.state import Budget
from federation.parties import CollectorKeys, PinnedCollector, Roster, RosterEntry
from federation.plan import AGGREGATORS
from federation.rho import rho_text
from federation.terms import Validity
from federation.wire_terms import WireTerms

from .network import Network

if TYPE_CHECKING:
    from featurestore.define.definitions import FeatureView
    from featurestore.define.privacy import Noisers

FILE: Final = "covey.toml"
DEFAULT_BUDGET: Final = Budget(100_000)
HOUR_US: Final = 3_600 * 10**6
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Project:
    """The parties of a project, by their public keys, and the limits of its aggregators.

    Attributes:
        budget: the most that a client-day may cost, over all views and for single views.
        allow_noise_off: for tests and labs only: aggregators accept plans without noise.
        validity: `prio3`: aggregators refuse plans without proofs. None: they accept them.
        give_up_after_us: how long after its end a pane stays due before the coordinator publishes it void; None: for ever.
        min_sites: how many sites must answer before the coordinator has anything opened: a number, or a share of the roster.
        noisers: of views that name none themselves, where the coordinator or a run reads them.
        network: where the roles listen, and where their peers reach them.
        view_min_sites: the same for single views, by name; other views need `min_sites`.
        former: the keys that a role has replaced.
    """

    name: str
    coordinator: VerifyKey
    collector: CollectorKeys
    leader: VerifyKey
    helper: VerifyKey
    roster: Roster
    budget: Budget = DEFAULT_BUDGET
    allow_noise_off: bool = False
    validity: Validity | None = None
    min_sites: int | Fraction = 1
    give_up_after_us: int | None = None
    view_min_sites: Mapping[str, int | Fraction] = field(default_factory=dict)
    noisers: Noisers = "each"
    network: Network = field(default_factory=Network)
    former: FormerKeys = NO_FORMER_KEYS

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"project name {self.name[:80]!r}: use 1 to 64 letters, digits, '.', '_', '-'")

    @property
    def sites_needed(self) -> int:
        """`min_sites` as a number of sites."""
        return self._as_number(self.min_sites)

    def sites_needed_for(self, view: str) -> int:
        """The number of sites that must be counted before a pane of a view is opened."""
        return self._as_number(self.view_min_sites.get(view, self.min_sites))

    def _as_number(self, sites: int | Fraction) -> int:
        match sites:
            case int():
                return sites
            case share:
                return math.ceil(share * len(self.roster.entries))

    def wire_terms(self, deadline_us: int) -> WireTerms:
        """The parties of a draft of this project, its roster, and its deadline (µs since the epoch)."""
        leader, helper = (self.pinned(role).at(deadline_us) for role in AGGREGATORS)
        collector = self.pinned_collector.at(deadline_us)
        return WireTerms(leader, helper, collector, deadline_us, roster=self.roster.enrolled)

    def pinned(self, role: Literal["coordinator", "leader", "helper"]) -> PinnedKey:
        """The signing keys of a role."""
        current: VerifyKey = getattr(self, role)
        return self.former.pinned(role, current)

    @property
    def pinned_collector(self) -> PinnedCollector:
        """The collector's keys."""
        return PinnedCollector(self.collector, self.former.of("collector"))

    @classmethod
    def load(cls, folder: Path) -> Project:
        """Read `folder/covey.toml`.

        Raises:
            ProjectMissing: the file does not exist. ConfigInvalid: the message names the section, the key and the mend.
        """
        path = folder / FILE
        try:
            return cls.parse(path, toml_entries(path, MAX_FILE_BYTES))
        except FileNotFoundError:
            raise ProjectMissing(str(path), str(folder)) from None

    @classmethod
    def find(cls, folder: Path) -> Project | None:
        """Read `folder/covey.toml`; None if it does not exist, or only has the settings of a store and its models.

        Raises:
            ConfigInvalid.
        """
        path = folder / FILE
        try:
            entries = toml_entries(path, MAX_FILE_BYTES)
        except FileNotFoundError:
            return None
        is_of_a_store = bool(entries) and entries.keys() <= {ONLINE, SERVING}
        return None if is_of_a_store else cls.parse(path, entries)

    @classmethod
    def parse(cls, path: Path, entries: dict[str, Any]) -> Project:
        """The project of the entries of a file. Raises ConfigInvalid."""
        from .project_entries import read_entries  # pydantic's import takes longer than a command that reads no project

        read = read_entries(entries, path)
        try:
            former = former_keys_of(read.former)
            roster = Roster(
                RosterEntry(one.id, one.sign, one.max_clients, one.node, former.of(site_role(one.id)))
                for one in read.site
            )
        except PartyInvalid as error:
            raise ConfigInvalid(str(path), f"[[site]]: {error}") from None
        return cls(
            read.project.name,
            read.coordinator.sign,
            CollectorKeys(read.collector.sign, read.collector.seal),
            read.leader.sign,
            read.helper.sign,
            roster,
            Budget(read.privacy.budget, read.privacy.quota),
            read.privacy.allow_noise_off,
            read.privacy.validity,
            read.collection.min_sites,
            read.collection.give_up_after,
            {view: one.min_sites for view, one in read.collection.views.items()},
            read.privacy.noisers,
            Network({role: address for role, address in read.network.model_dump().items() if address is not None}),
            former,
        )

    def with_default_noisers(self, views: Iterable[FeatureView]) -> tuple[FeatureView, ...]:
        """The views as this project collects them: those that name no noisers have the project's."""
        return tuple(view.with_default_noisers(self.noisers) for view in views)

    def to_toml(self) -> str:
        """The text of the file, which `load` reads."""
        lines = [
            "# Made by `covey init`. Public: the secrets are in keys/.",
            "",
            "[project]",
            f'name = "{self.name}"',
            "",
            "[privacy]  # limits of this operator's aggregator: no plan can change them",
            f"budget = {rho_text(self.budget.micro_rho)}  # rho that a client-day may cost, over all views",
            f"allow_noise_off = {str(self.allow_noise_off).lower()}",
            f'validity = "{allowed_text(self.validity)}"  # "prio3": plans without proofs are refused; or "any"',
            f'noisers = "{self.noisers}"  # of views that name none: each aggregator adds all of the noise, or they share it',
            "",
            "[privacy.quota]  # the most that single views may cost, such as: dest_delay = 0.05",
            *(f"{json.dumps(view)} = {rho_text(quota)}" for view, quota in self.budget.quotas.items()),
        ]
        lines += ["", "[collection]"]
        lines.append(
            f"min_sites = {_number(self.min_sites)}  # sites that must answer: a number, or a share such as 0.8"
        )
        if self.give_up_after_us is None:
            lines.append('# give_up_after = "30d"  # then a pane that is still due is published void; default: never')
        else:
            lines.append(f'give_up_after = "{self.give_up_after_us // HOUR_US}h"  # then a due pane is published void')
        for view, sites in self.view_min_sites.items():
            lines += ["", f"[collection.views.{json.dumps(view)}]", f"min_sites = {_number(sites)}"]
        if self.network.named:
            lines += ["", "[network]  # where the roles listen, and where their peers reach them"]
            lines += [f'{role} = "{address}"' for role, address in self.network.named.items()]
        lines += ["", "[coordinator]  # signs plans: every other party pins this key", _sign(self.coordinator)]
        lines += ["", "[collector]", _sign(self.collector.sign), f'seal = "{_base64(self.collector.seal.data)}"']
        lines += ["", "[leader]  # the seal keys of leader and helper are made for each plan", _sign(self.leader)]
        lines += ["", "[helper]", _sign(self.helper)]
        for site in self.roster.entries:
            lines += ["", "[[site]]  # an aggregator accepts batches from these sites only", f'id = "{site.site}"']
            lines += [_sign(site.key), f"max_clients = {site.max_clients}"]
            if site.node is not None:
                lines.append(
                    f'node = "{_base64(site.node.to_bytes())}"  # authenticates its connection to the SuperLink'
                )
        return "\n".join(lines) + "\n" + former_to_toml(self.former)


def as_collected_in(directory: Path, views: Iterable[FeatureView]) -> tuple[FeatureView, ...]:
    """The views as a collection into this directory has them; without a project they are unchanged. Raises ConfigInvalid."""
    project = Project.find(directory)
    return tuple(views) if project is None else project.with_default_noisers(views)


def _number(value: int | Fraction) -> str:
    return str(value) if isinstance(value, int) else str(float(value))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _sign(key: VerifyKey) -> str:
    return f'sign = "{_base64(key.data)}"'
