"""The budget of each ledger in a directory: covey.toml for the aggregators, policy.toml for the sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deployment.errors import UsageError
from deployment.inspect.ledger_view import owners_in
from edge_client.policy_file import load_policy
from edge_client.site_config import rules_of
from federation.keys import SITE_PREFIX
from federation.ledger.operator import LEDGERS
from federation.ledger.state import Budget
from federation.rho import micro_rho_of

from .fleet import SITES
from .init import POLICY
from .project import DEFAULT_BUDGET, Project


def budget_of_text(rho: str) -> Budget:
    """Parse a budget. Raises UsageError."""
    try:
        return Budget(micro_rho_of(rho))
    except ValueError as error:
        raise UsageError(f"`budget`: {error}") from None


def budget_within(directory: Path, requested: Budget) -> Budget:
    """The budget of a client-day for a run into this directory: the requested one, and in a project at most the project's.

    All roles of an operator charge one ledger, so a run with a larger budget could overspend a day for the other roles.

    Raises:
        UsageError: covey.toml cannot be read.
    """
    project = Project.find(directory)
    if project is None:
        return requested
    return replace(project.budget, micro_rho=min(requested.micro_rho, project.budget.micro_rho))


def budgets_of(directory: Path, rho: str | None = None) -> Mapping[str, Budget | None]:
    """The budget of each ledger's owner in a project or store directory; None if no file has it, only the ledger itself.

    Args:
        rho: one budget for all owners, instead of those in the files, which still say what each counts.

    Raises:
        UsageError, ConfigInvalid: a file, or `rho`, cannot be read.
    """
    owners = owners_in(directory / LEDGERS)
    project = Project.find(directory)
    ours = None if project is None else project.budget
    found = {owner: _of_site(directory, owner) if owner.startswith(SITE_PREFIX) else ours for owner in owners}
    if rho is None:
        return found
    given = budget_of_text(rho)
    return {owner: replace(given, counts=of.counts) if of else given for owner, of in found.items()}


def _of_site(directory: Path, owner: str) -> Budget:
    """The budget in the policy that the site's configuration names, else in the directory's policy."""
    config = directory / SITES / f"{owner.removeprefix(SITE_PREFIX)}.toml"
    if config.is_file():
        return rules_of(config)[0].budget
    return load_policy(directory / POLICY).budget if (directory / POLICY).is_file() else DEFAULT_BUDGET
