"""Checks of keys and of the files that pin them."""

from __future__ import annotations

from collections.abc import Iterator

from base.errors import CoveyError
from base.times import utc_text
from deployment.project.init import POLICY
from deployment.project.key_pins import OF_POLICY, key_in
from deployment.project.project import FILE, Project
from edge_client.policy_file import load_policy
from federation.errors import KeyFileExposed
from federation.key_rotation import is_complete
from federation.keys import load_keys, public_line

from .finding import Finding, Place, not_applicable, ok, problem, problem_of, warning


def check_project(place: Place) -> Iterator[Finding]:
    """Whether covey.toml can be read."""
    try:
        project = Project.load(place.directory)
    except CoveyError as error:
        yield problem_of(error, f"edit {place.directory / FILE}, or make a project with covey init")
        return
    yield ok(f"{place.directory / FILE} can be read: {project.name}, {len(project.roster.entries):,} site(s)")


def check_keys(place: Place) -> Iterator[Finding]:
    """Whether the keys of each role can be read, are private, and are the pinned ones."""
    if not place.roles:
        yield not_applicable(f"no role's keys are in {place.keys}")
    for role in place.roles:
        yield from _role(place, role)


def _role(place: Place, role: str) -> Iterator[Finding]:
    public, rotate = place.keys / f"{role}.pub", f"covey keys rotate {role} --project {place.directory}"
    try:
        keys = load_keys(place.keys, role)
    except KeyFileExposed as error:
        yield problem(
            f"{error.path} has mode {error.mode:04o}: other users may have read it",
            f"chmod {error.need:o} {error.path}, then {rotate} --lost if others may have read it",
        )
        return
    except CoveyError as error:
        yield problem_of(error, f"restore the file from a backup; if it is lost: {rotate} --lost")
        return
    if not is_complete(place.keys, role):
        yield warning(f"a rotation of {role} was cut short, or {public} does not have its key", rotate)
    if place.project is not None:
        pinned = key_in(place.project, role)
        if pinned is None:
            yield problem(f"{FILE} has no {role}", f"add its line to {FILE}: {public_line(role, keys.public).strip()}")
        elif pinned not in keys.pinned.all:
            yield problem(
                f"{FILE} pins another key of {role}, {pinned.id.hex()}, than {place.keys} has, {keys.sign.public.id.hex()}",
                f"put the right key into {place.keys}, or, at all operators: covey keys accept {public} --force",
            )
        elif pinned != keys.sign.public:
            yield warning(f"{FILE} pins a key of {role} that was replaced", rotate)
    in_force = [one for one in keys.former if one.until_us >= place.now_us]
    until = f"; its former key is in force until {utc_text(in_force[0].until_us)}" if in_force else ""
    yield ok(f"{role} has the key {keys.sign.public.id.hex()}{until}")


def check_policy(place: Place) -> Iterator[Finding]:
    """Whether policy.toml can be read and pins the project's keys."""
    path = place.directory / POLICY
    if not path.exists():
        yield not_applicable(f"there is no {path}: no site is configured here")
        return
    try:
        policy = load_policy(path)
    except CoveyError as error:
        yield problem_of(error, f"edit {path}")
        return
    if place.project is not None:
        for role in OF_POLICY:
            pinned, named = getattr(policy, role), getattr(place.project, role)
            known = policy.former.pinned(role, pinned).all
            if pinned != named:
                lag = named in known or pinned in place.project.former.pinned(role, named).all
                yield (warning if lag else problem)(
                    f"{path} pins another key of the {role}, {pinned.id.hex()}, than {FILE}, {named.id.hex()}",
                    f"compare both with the {role}'s operator, then: covey keys accept {role}.pub",
                )
        if policy.allow_noise_off:
            yield warning(f"{path} allows exact sums, without privacy", f"set allow_noise_off = false in {path}")
    yield ok(f"{path} can be read")
