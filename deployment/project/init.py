"""A new project on disk, in the layout that every command expects. Existing files are never overwritten.

covey.toml   the parties' public keys, the roster, the budget       keys/     the secrets, mode 0700
views.py     what is collected                                      ledgers/  what each day has spent
policy.toml  what this operator's sites take part in                roles/    the files of running roles
                                                                    store/    what was released
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from base.private_files import private_folder
from base.times import from_us, wall_clock
from base.tls.roles import TlsRole
from base.tls.trust import Trust
from deployment.errors import UsageError
from edge_client.policy import Policy
from edge_client.policy_file import policy_to_toml
from federation.errors import PartyInvalid
from federation.former_keys import FormerKey, FormerKeys
from federation.keys import ROLES, SITE_PREFIX, RoleKeys, create_folder, roles_in, site_role
from federation.ledger.operator import LEDGERS
from federation.ledger.state import Budget
from federation.parties import PublicKeys, Roster, RosterEntry
from federation.rho import rho_text
from federation.terms import Participation, default_participation

from .certificates import make_certificates, own_roles, trust_operators
from .folders import KEYS
from .project import FILE, Project
from .public_files import read_public_file

VIEWS: Final = "views.py"
POLICY: Final = "policy.toml"
_PRIVATE_FOLDERS: Final = (LEDGERS, "roles")

_VIEWS_TEXT: Final = '''"""The feature views of this project: what is collected, and what it may cost.

`covey explain {views}` shows the price of each view and its expected error. Replace the example by your own.
"""

from covey import Bounds, ClientCount, Entity, FeatureView, Mean, Privacy, Rate

shop_visits = FeatureView(
    name="shop_visits",
    entity=Entity("shop", domain=["north", "south", "west"]),  # the join keys: public, declared
    pane="1d",  # disjoint intervals, each opened once
    windows=["7d", "28d"],  # sums of panes: they cost nothing more
    features=[
        ClientCount("visitors"),  # distinct clients of a pane
        Mean("spent", clip=(0, 200), resolution=1.0),  # of a column of the events
        Rate("large", where="spent >= 100"),
    ],
    bounds=Bounds(max_cells=2, max_events_per_cell=1),  # of one client in one UTC day
    privacy=Privacy(rho={rho}, min_clients=50),  # half of the project's budget of a client-day
)
'''


@dataclass(frozen=True)
class NewProject:
    """A project that `make` or `assemble` made.

    Attributes:
        kept: existing files, which were not changed.
        secrets: the roles whose keys were made here.
        roles: the roles whose keys the project has, made here or before.
    """

    project: Project
    folder: Path
    secrets: tuple[str, ...]
    kept: tuple[str, ...]
    roles: tuple[str, ...]

    @property
    def participation(self) -> Participation:
        """The participation of plans that choose none."""
        return default_participation([entry.max_clients for entry in self.project.roster.entries])


def make(folder: Path, name: str | None, sites: Sequence[str], max_clients: int, budget: Budget) -> NewProject:
    """Make a project of one machine, with fresh keys of every role. Its operator holds every secret.

    Raises:
        UsageError: the directory has a project already, or a name, site id or number is invalid.
    """
    _require_new(folder, FILE, POLICY, KEYS)
    try:
        keys = {role: RoleKeys.generate(role, os.urandom) for role in (*ROLES, *map(site_role, sites))}
    except PartyInvalid as error:
        raise UsageError(str(error)) from None
    public = {role: pair.public for role, pair in keys.items()}
    if len(public) < len(ROLES) + len(sites):
        raise UsageError("a site is named twice; give each its own id")
    project = _project(folder, name, public, max_clients, budget)
    folder.mkdir(exist_ok=True)
    create_folder(folder / KEYS, keys.values())
    # On one machine the operator runs the provider as well, which has no signing key.
    make_certificates(folder / KEYS, (*own_roles(folder / KEYS), TlsRole.PROVIDER), (), from_us(wall_clock()))
    return _write(folder, project, tuple(keys))


def assemble(folder: Path, name: str | None, lines: Sequence[Path], max_clients: int, budget: Budget) -> NewProject:
    """Make one operator's copy of a project: covey.toml from the public key files of all operators.

    Raises:
        UsageError: the directory has a project already, or a role is missing or given twice. KeyFileMalformed.
        CertificateMalformed.
    """
    _require_new(folder, FILE, POLICY)
    public: dict[str, PublicKeys] = {}
    authorities: list[tuple[str, Trust]] = []
    former: list[FormerKey] = []
    for path in lines:
        file = read_public_file(path)
        if file.role in public:
            raise UsageError(f"{path}: another file has the keys of {file.role} already; give one file for each role")
        public[file.role] = file.keys
        former += file.all_replaced(str(path))
        if file.authority is not None:
            authorities.append((file.role, file.authority))
    missing = [role for role in ROLES if role not in public]
    if missing or len(public) == len(ROLES):
        raise UsageError(
            f"no public key of {', '.join(missing) or 'a site'}; its operator's `covey keys init` makes keys/ROLE.pub"
        )
    project = replace(_project(folder, name, public, max_clients, budget), former=FormerKeys(tuple(former)))
    folder.mkdir(exist_ok=True)
    kept = trust_operators(folder / KEYS, authorities)
    return _write(folder, project, (), kept)


def _project(
    folder: Path, name: str | None, public: Mapping[str, PublicKeys], max_clients: int, budget: Budget
) -> Project:
    ids = [role.removeprefix(SITE_PREFIX) for role in public if role.startswith(SITE_PREFIX)]
    try:
        keys = {site: public[site_role(site)] for site in ids}
        roster = Roster(RosterEntry(site, of.sign, max_clients, of.node) for site, of in keys.items())
    except PartyInvalid as error:
        raise UsageError(str(error)) from None
    return Project(
        _name_of(folder) if name is None else name,
        public["coordinator"].sign,
        public["collector"].collector,
        public["leader"].sign,
        public["helper"].sign,
        roster,
        budget,
        min_sites=len(ids),  # what a release leaves out is left out for ever, so fewer are a decision of the operator
    )


def _write(folder: Path, project: Project, secrets: tuple[str, ...], kept_trust: tuple[str, ...] = ()) -> NewProject:
    """Write everything but the keys; existing files stay."""
    participation = default_participation([entry.max_clients for entry in project.roster.entries])
    policy = Policy(
        project.coordinator,
        project.leader,
        project.helper,
        max_micro_rho=project.budget.micro_rho,
        # An operator who holds every key learns nothing new from active participation; elsewhere each site decides.
        former=project.former,
        allow_activity_visible=bool(secrets) and participation is Participation.ACTIVE,
    )
    views = _VIEWS_TEXT.format(views=VIEWS, rho=rho_text(max(1, project.budget.micro_rho // 2)))
    kept = list(kept_trust)
    for file, text in ((VIEWS, views), (POLICY, policy_to_toml(policy)), (FILE, project.to_toml())):
        try:
            with (folder / file).open("x", encoding="utf-8") as opened:
                opened.write(text)
        except FileExistsError:
            kept.append(file)
    for private in _PRIVATE_FOLDERS:
        private_folder(folder / private)
    (folder / "store").mkdir(exist_ok=True)
    return NewProject(project, folder, secrets, tuple(kept), roles_in(folder / KEYS))


def _require_new(folder: Path, *names: str) -> None:
    for name in names:
        if os.path.lexists(folder / name):
            raise UsageError(f"{folder / name} exists; nothing is overwritten (move it away if you mean it)")
    if not folder.absolute().parent.is_dir():
        raise UsageError(f"no directory {folder.absolute().parent}")


def _name_of(folder: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._")
    return name[:64] or "covey"
