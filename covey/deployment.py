"""A site of a deployment, as a real SuperNode. It pins the keys that stand in the project's covey.toml, and answers plans
until it is stopped. The SuperLink is Flower's own (`flower-superlink`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from edge_client.flower_app import SITES_VARIABLE
from edge_client.policy import Policy
from edge_client.policy_file import policy_to_toml
from edge_client.site_config import config_to_toml, load_config
from federation.errors import UnknownSite
from federation.keys import site_role
from simulations.run_ledger import LEDGERS

from .errors import UsageError
from .fleet import SITES
from .init import POLICY
from .processes import free_port, script
from .project import FILE, KEYS, Project
from .wire import flower_environment


def configure_site(
    project: Path, site: str, events: Path, client_column: str, time_column: str, *, allow_noise_off: bool
) -> Path:
    """Write `sites/<site>.toml`, and `policy.toml` if there is none: it pins the project's keys from now on.

    Args:
        allow_noise_off: of a policy that is written here; one that is there is left alone.

    Raises:
        UsageError: the site is not on the project's roster.
    """
    parties = Project.load(project)
    try:
        clients = parties.roster[site].max_clients
    except UnknownSite as error:
        raise UsageError(f"{project / FILE}: {error}") from None
    policy = project / POLICY
    if not policy.exists():
        mine = Policy(
            parties.coordinator,
            parties.leader,
            parties.helper,
            max_micro_rho=parties.budget.micro_rho,
            allow_noise_off=allow_noise_off,
        )
        _write_once(policy, policy_to_toml(mine))
    (project / LEDGERS).mkdir(mode=0o700, exist_ok=True)
    folder = project / SITES
    folder.mkdir(exist_ok=True)
    path = folder / f"{site}.toml"
    text = config_to_toml(
        {
            "site": site,
            "clients": clients,
            "events": str(events.absolute()),
            "client_column": client_column,
            "time_column": time_column,
            "keys": f"../{KEYS}",
            "ledger": f"../{LEDGERS}/{site_role(site)}.db",
            "policy": f"../{POLICY}",
        }
    )
    path.write_text(text, encoding="utf-8")
    load_config(path)
    return path


def _write_once(path: Path, text: str) -> None:
    """A file that appears whole, unless another process has made it first."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def become_site(project: Path, site: str, superlink: str) -> NoReturn:
    """Replace this process by the site's SuperNode, until it is stopped."""
    load_config(project / SITES / f"{site}.toml")
    command = script("flower-supernode")
    arguments = ["--insecure", "--superlink", superlink, "--port", str(free_port()), "--node-config", f'site="{site}"']
    environment = {
        **os.environ,
        **flower_environment(),
        "FLWR_HOME": str((project / "roles" / f"site-{site}" / "flower").absolute()),
        SITES_VARIABLE: str((project / SITES).absolute()),
    }
    os.execve(command, [command, *arguments], environment)  # noqa: S606 - our own command
