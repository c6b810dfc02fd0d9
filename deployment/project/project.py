"""`covey.toml`: the public side of a project. Its parties, the sites that its aggregators know, what a client-day may cost.

Each operator keeps a copy of its own: an aggregator's roster and budget are what stands in *its* file. No secret stands
here. Sections that this module does not know belong to others and are left alone.
"""

from __future__ import annotations

import base64
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from crypto.errors import CryptoError
from crypto.seal import SealPublicKey
from crypto.signing import VerifyKey
from deployment.errors import ProjectMissing, UsageError
from featurestore.online.settings import TABLE as ONLINE
from federation.errors import NodeKeyInvalid, PartyInvalid
from federation.ledger.state import Budget
from federation.node_keys import NodeCertificate
from federation.parties import CollectorKeys, Roster, RosterEntry
from federation.plan import ALLOWED_VALIDITIES, AllowedValidity
from federation.rho import micro_rho_of, rho_text

FILE: Final = "covey.toml"
KEYS: Final = "keys"
DEFAULT_BUDGET: Final = Budget(100_000)
_PRIVACY: Final = ("budget", "allow_noise_off", "validity", "quota")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Project:
    """The parties of a project, by their public keys, and what its aggregators allow.

    Attributes:
        budget: what a client-day may cost, over all views and of single ones.
        allow_noise_off: for tests and labs only: plans without noise are run.
        validity: `prio3`: plans without proofs are refused.
    """

    name: str
    coordinator: VerifyKey
    collector: CollectorKeys
    leader: VerifyKey
    helper: VerifyKey
    roster: Roster
    budget: Budget = DEFAULT_BUDGET
    allow_noise_off: bool = False
    validity: AllowedValidity = "any"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"project name {self.name[:80]!r}: use 1 to 64 letters, digits, '.', '_', '-'")

    @classmethod
    def load(cls, folder: Path) -> Project:
        """Read `folder/covey.toml`.

        Raises:
            ProjectMissing: there is none. UsageError: not TOML, or a key or an entry that is not valid; names the section.
        """
        path = folder / FILE
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        except (FileNotFoundError, NotADirectoryError):
            raise ProjectMissing(str(path), str(folder)) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not TOML: {error}") from None
        read = _Reader(str(path), content)
        try:
            roster = Roster(
                RosterEntry(
                    read.text(site, "id", where),
                    read.verify_key(site, where),
                    read.whole(site, "max_clients", where),
                    read.node(site, where),
                )
                for site, where in read.tables("site")
            )
        except PartyInvalid as error:
            raise UsageError(f"{path}: {error}") from None
        return cls(
            name=read.text(read.table("project"), "name", "project"),
            coordinator=read.verify_key(read.table("coordinator"), "coordinator"),
            collector=read.collector(),
            leader=read.aggregator("leader"),
            helper=read.aggregator("helper"),
            roster=roster,
            budget=read.budget(read.table("privacy")),
            allow_noise_off=read.flag(read.table("privacy"), "allow_noise_off", "privacy"),
            validity=read.validity(read.table("privacy")),
        )

    @classmethod
    def find(cls, folder: Path) -> Project | None:
        """Read `folder/covey.toml`; None where there is none, or one that only says where a store's rows are.

        Raises:
            UsageError.
        """
        try:
            content = tomllib.loads((folder / FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            return cls.load(folder)  # which says what is wrong
        return None if content.keys() == {ONLINE} else cls.load(folder)

    def to_toml(self) -> str:
        """What `load` reads."""
        lines = [
            "# Made by `covey init`. Public: the secrets are in keys/.",
            "",
            "[project]",
            f'name = "{self.name}"',
            "",
            "[privacy]  # of this operator's aggregator: no plan can change it",
            f"budget = {rho_text(self.budget.micro_rho)}  # rho that a client-day may cost, over all views",
            f"allow_noise_off = {str(self.allow_noise_off).lower()}",
            f'validity = "{self.validity}"  # "prio3": plans without proofs are refused; or "any"',
            "",
            "[privacy.quota]  # what single views may take of it, such as: dest_delay = 0.05",
            *(f"{json.dumps(view)} = {rho_text(quota)}" for view, quota in self.budget.quotas.items()),
        ]
        lines += ["", "[coordinator]  # signs plans: every other party pins this key", _sign(self.coordinator)]
        lines += ["", "[collector]", _sign(self.collector.sign), f'seal = "{_base64(self.collector.seal.data)}"']
        lines += ["", "[leader]  # its seal keys, and the helper's, live for one plan each", _sign(self.leader)]
        lines += ["", "[helper]", _sign(self.helper)]
        for site in self.roster.entries:
            lines += ["", "[[site]]  # an aggregator takes batches from these sites only", f'id = "{site.site}"']
            lines += [_sign(site.key), f"max_clients = {site.max_clients}"]
            if site.node is not None:
                lines.append(f'node = "{_base64(site.node.to_bytes())}"  # what it connects to the SuperLink with')
        return "\n".join(lines) + "\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _sign(key: VerifyKey) -> str:
    return f'sign = "{_base64(key.data)}"'


@dataclass(frozen=True)
class _Reader:
    """Reads values of the types that are due; an error names the file and the section."""

    path: str
    content: dict[str, Any]

    def only(self, name: str, known: Sequence[str]) -> None:
        """Refuse other entries of a section: a mistyped quota would be none at all."""
        unknown = [repr(entry[:80]) for entry in self.table(name) if entry not in known]
        if unknown:
            raise UsageError(f"{self.path}, {name}: unknown entry {', '.join(unknown)}; known are {', '.join(known)}")

    def table(self, name: str) -> dict[str, Any]:
        found = self.content.get(name)
        if not isinstance(found, dict):
            raise UsageError(f"{self.path}: no section [{name}]")
        return found

    def tables(self, name: str) -> list[tuple[dict[str, Any], str]]:
        found = self.content.get(name, [])
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise UsageError(f"{self.path}: write each site as a section [[{name}]]")
        return [(each, f"[{name}] {number}") for number, each in enumerate(found, 1)]

    def text(self, table: dict[str, Any], key: str, where: str) -> str:
        found = table.get(key)
        if not isinstance(found, str):
            raise UsageError(f'{self.path}, {where}: `{key} = "…"` is missing')
        return found

    def budget(self, privacy: dict[str, Any]) -> Budget:
        quotas = privacy.get("quota", {})
        if not isinstance(quotas, dict):
            raise UsageError(f"{self.path}, privacy: write quotas as a section [privacy.quota] with lines `view = RHO`")
        of_views = {view: self._rho(quotas, view, "privacy.quota") for view in quotas}
        budget = Budget(self._rho(privacy, "budget", "privacy"), of_views)
        self.only("privacy", _PRIVACY)
        return budget

    def _rho(self, table: dict[str, Any], key: str, where: str) -> int:
        found = table.get(key)
        if not isinstance(found, int | Decimal) or isinstance(found, bool):
            raise UsageError(f"{self.path}, {where}: `{key[:80]} = RHO` is missing, such as 0.1")
        try:
            return micro_rho_of(found)
        except ValueError as error:
            raise UsageError(f"{self.path}, {where}, {key[:80]}: {error}") from None

    def whole(self, table: dict[str, Any], key: str, where: str) -> int:
        found = table.get(key)
        if not isinstance(found, int) or isinstance(found, bool):
            raise UsageError(f"{self.path}, {where}: `{key} = N` is missing")
        return found

    def flag(self, table: dict[str, Any], key: str, where: str) -> bool:
        found = table.get(key)
        if not isinstance(found, bool):
            raise UsageError(f"{self.path}, {where}: `{key} = true|false` is missing")
        return found

    def validity(self, privacy: dict[str, Any]) -> AllowedValidity:
        found = privacy.get("validity", Project.validity)
        known = next((word for word in ALLOWED_VALIDITIES if word == found), None)
        if known is None:
            words = " or ".join(f'"{word}"' for word in ALLOWED_VALIDITIES)
            raise UsageError(f"{self.path}, privacy: validity is {words}, not {str(found)[:80]!r}")
        return known

    def verify_key(self, table: dict[str, Any], where: str) -> VerifyKey:
        try:
            return VerifyKey(self._bytes(table, "sign", where))
        except CryptoError as error:
            raise UsageError(f"{self.path}, {where}: {error}") from None

    def node(self, table: dict[str, Any], where: str) -> NodeCertificate | None:
        """A site's node key, which `RosterEntry` checks; None where there is none."""
        if "node" not in table:
            return None
        try:
            return NodeCertificate.from_bytes(self._bytes(table, "node", where))
        except NodeKeyInvalid as error:
            raise UsageError(f"{self.path}, {where}: {error}") from None

    def collector(self) -> CollectorKeys:
        table, name = self.table("collector"), "collector"
        try:
            return CollectorKeys(self.verify_key(table, name), SealPublicKey(self._bytes(table, "seal", name)))
        except CryptoError as error:
            raise UsageError(f"{self.path}, {name}: {error}") from None

    def aggregator(self, name: str) -> VerifyKey:
        table = self.table(name)
        if "seal" in table:
            raise UsageError(
                f"{self.path}, {name}: `seal` is from an older version; seal keys now live for one plan. Make new keys of "
                "every role (`covey keys init ROLE`) and new project files (`covey init`)"
            )
        return self.verify_key(table, name)

    def _bytes(self, table: dict[str, Any], key: str, where: str) -> bytes:
        try:
            return base64.b64decode(self.text(table, key, where), validate=True)
        except ValueError:
            raise UsageError(f"{self.path}, {where}: {key} is not base64") from None
