"""Writes a role's new public keys to the files that pin them: covey.toml, and policy.toml of sites.

The files are edited as text, so comments stay. Each edit is read back before it replaces the file, and names the former key
with its change-over (`[[former]]`), so old releases verify and plans under way keep their keys.
"""

from __future__ import annotations

import base64
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from base.atomic_files import replace_file
from base.config import checked
from base.errors import ConfigInvalid
from base.locks import lock_folder
from base.times import utc_text
from base.toml import parse_toml, toml_text
from crypto.signing import VerifyKey
from deployment.errors import UsageError
from edge_client.policy_file import load_policy
from federation.config_values import former_to_toml
from federation.errors import HandoverMissing, UnknownSite
from federation.former_keys import FormerKey, FormerKeys
from federation.keys import SITE_PREFIX, site_role
from federation.parties import PublicKeys
from federation.plan import AGGREGATORS
from federation.public_file import PublicFile

from .init import POLICY
from .project import FILE, Project
from .public_files import read_public_file

OF_POLICY: Final = ("coordinator", "leader", "helper")


@dataclass(frozen=True)
class Accepted:
    """The result of taking a role's keys.

    Attributes:
        changed: the files that were edited; none if they have these keys already.
        former: the keys that were replaced, the last one last.
    """

    role: str
    key: VerifyKey
    changed: tuple[Path, ...]
    former: tuple[FormerKey, ...]


def accept(directory: Path, path: Path, now_us: int, *, force: bool) -> Accepted:
    """Replace the pinned keys of a role by those of its public file.

    Args:
        force: also without a handover by the pinned key, because that key is lost or stolen. It is then no longer the role's key
            for plans whose deadline is later than now, and the files mark it as lost.

    Raises:
        HandoverMissing, HandoverInvalid. UsageError: covey.toml has no such role. ConfigInvalid. ProjectMissing.
    """
    file = read_public_file(path)
    Project.load(directory)  # raises ProjectMissing for a folder that cannot be locked
    with lock_folder(directory, wait=True):  # the files are read before they are written
        return _accept(directory, path, file, now_us, force=force)


def _accept(directory: Path, path: Path, file: PublicFile, now_us: int, *, force: bool) -> Accepted:
    project = Project.load(directory)
    pinned = _pinned_in(project, file.role)
    changed, former = [], _replaced(file, pinned.sign, str(path), now_us, force=force)
    if former:
        edit = _Edit(file.role, pinned, file.keys, former, _ended(project.former, former, now_us))
        _replace(directory / FILE, edit, lambda text: _require_project(directory, text, file))
        changed.append(directory / FILE)
    policy = directory / POLICY
    if file.role in OF_POLICY and policy.exists():
        rules = load_policy(policy)
        own: VerifyKey = getattr(rules, file.role)
        if own != file.keys.sign:
            replaced = _replaced(file, own, str(path), now_us, force=force)
            ended = _ended(rules.former, replaced, now_us)
            edit = _Edit(file.role, PublicKeys(own), PublicKeys(file.keys.sign), replaced, ended)
            _replace(policy, edit, lambda text: _require_policy(policy, text, file))
            changed.append(policy)
            former = former or replaced
    return Accepted(file.role, file.keys.sign, tuple(changed), former)


def _replaced(file: PublicFile, pinned: VerifyKey, source: str, now_us: int, *, force: bool) -> tuple[FormerKey, ...]:
    if pinned == file.keys.sign:
        return ()
    try:
        return file.replaced_since(pinned, source)
    except HandoverMissing:
        if not force:
            raise
        return (FormerKey(file.role, pinned, now_us, lost=True),)


def key_in(project: Project, role: str) -> VerifyKey | None:
    """The current key of a role in covey.toml; None: the roster has no such site."""
    try:
        return _pinned_in(project, role).sign
    except UsageError:
        return None


def pinned_keys(project: Project) -> Mapping[str, PublicKeys]:
    """The current keys of every role that covey.toml names, by role."""
    sites = (site_role(entry.site) for entry in project.roster.entries)
    return {role: _pinned_in(project, role) for role in ("coordinator", "collector", *AGGREGATORS, *sites)}


def _pinned_in(project: Project, role: str) -> PublicKeys:
    if role.startswith(SITE_PREFIX):
        try:
            entry = project.roster[role.removeprefix(SITE_PREFIX)]
        except UnknownSite as error:
            raise UsageError(f"{error}; add a [[site]] to {FILE}, with its keys") from None
        return PublicKeys(entry.key, node=entry.node)
    if role == "collector":
        return PublicKeys(project.collector.sign, project.collector.seal)
    return PublicKeys(getattr(project, role))


def _ended(former: FormerKeys, replaced: tuple[FormerKey, ...], now_us: int) -> tuple[FormerKey, ...]:
    """The former keys of a file that end now, because the key after them is lost."""
    if not replaced[0].lost:
        return ()
    return tuple(one for one in former.of(replaced[0].role) if one.until_us > now_us)


@dataclass(frozen=True)
class _Edit:
    """The replacement of a role's keys in a file.

    Attributes:
        ended: former keys of the file whose change-over becomes that of `former`.
    """

    role: str
    old: PublicKeys
    new: PublicKeys
    former: tuple[FormerKey, ...]
    ended: tuple[FormerKey, ...] = ()

    def texts(self) -> Mapping[str, str]:
        """The texts to replace: keys in base64."""
        pairs = [(self.old.sign.data, self.new.sign.data)]
        if self.old.seal is not None and self.new.seal is not None:
            pairs.append((self.old.seal.data, self.new.seal.data))
        if self.old.node is not None and self.new.node is not None:
            pairs.append((self.old.node.to_bytes(), self.new.node.to_bytes()))
        return {_base64(old): _base64(new) for old, new in pairs}

    def sections(self) -> str:
        """The sections of the former keys."""
        first = replace(self.former[0], seal=self.old.seal, node=self.old.node)
        return former_to_toml(FormerKeys((first, *self.former[1:])))


def _replace(path: Path, edit: _Edit, require: Callable[[str], None]) -> None:
    """Edit a file. Raises ConfigInvalid: it spells the key in another way."""
    text = toml_text(path)
    head, mark, tail = text.partition("\n[[former]]")
    for old, new in edit.texts().items():
        if head.count(old) != 1:
            raise ConfigInvalid(
                str(path),
                f"it has the {edit.role}'s key {old[:16]}… {head.count(old)} times; replace it by {new}",
            )
        head = head.replace(old, new)
    rest = mark + tail
    for one in edit.ended:
        line = f'sign = "{_base64(one.key.data)}"\nuntil = '
        if rest.count(until := f"{line}{utc_text(one.until_us)}") != 1:
            raise ConfigInvalid(
                str(path), f"the {edit.role}'s [[former]] key {one.key.id.hex()} must end now; edit it by hand"
            )
        rest = rest.replace(until, f"{line}{utc_text(edit.former[0].until_us)}")
    edited = (head + rest).rstrip("\n") + "\n" + edit.sections()
    require(edited)
    private = not stat.S_IMODE(path.stat().st_mode) & 0o077
    replace_file(path, edited, private=private)


def _require_project(directory: Path, text: str, file: PublicFile) -> None:
    found = _pinned_in(Project.parse(directory / FILE, parse_toml(text, directory / FILE)), file.role)
    if found != file.keys:
        raise ConfigInvalid(
            str(directory / FILE), f"the {file.role}'s keys could not be replaced in it; edit it by hand"
        )


def _require_policy(path: Path, text: str, file: PublicFile) -> None:
    from edge_client.policy_file import PolicyEntries

    entries = checked(PolicyEntries, parse_toml(text, path), path)
    if getattr(entries, file.role) != file.keys.sign:
        raise ConfigInvalid(str(path), f"the {file.role}'s key could not be replaced in it; edit it by hand")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
