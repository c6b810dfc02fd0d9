"""The mends of errors, as commands and options: lower layers say what is wrong and why, but do not know the commands.

The keys of the table are error codes, so that a command does not import layers whose errors it never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from base.errors import CoveyError

_MENDS: Final[Mapping[str, Callable[[Any], str]]] = {
    # stores
    "STORE_NOT_FOUND": lambda error: f"`covey run VIEWS.py --events FILE --store {error.path}` makes one",
    "STORE_IN_USE": lambda _: "or name another one with --store",
    "STORE_CORRUPT": lambda _: "`covey store verify` checks every file, and names the mend of each",
    "NO_EPOCH": lambda _: "`covey store verify` shows the details",
    "UNKNOWN_VIEW": lambda error: "--views FILE names the file" if error.named else "",
    "UNKNOWN_MODEL": lambda _: "`covey train CONFIG.toml` makes one",
    "MODEL_IN_USE": lambda error: f"`covey models promote {error.model} vN` does",
    "MODEL_CHANGED": lambda error: f"`covey models list {error.model}` shows it",
    "NOTHING_TO_ROLL_BACK": lambda error: f"`covey models promote {error.model} vN` does",
    "SERVER_EXPOSED": lambda error: (
        f"`covey keys tls --project {error.directory} --role server --name HOST` makes a certificate (--behind-proxy: a "
        f"proxy has TLS), `covey consumers add NAME --store {error.directory}` makes a key"
    ),
    "CONSUMER_EXISTS": lambda error: f"`covey consumers remove {error.name}` removes its key",
    "ROLE_TOO_SMALL": lambda error: (
        f"with an API key, `covey consumers role NAME {error.needs.label}` on the server's machine gives it; without keys, "
        "the URL that `covey console` has printed opens an operator's page"
    ),
    "VIEW_CHANGED": lambda _: (
        "`covey diff` says what the change would do, and `covey apply` makes the view's next version"
    ),
    "OF_OLDER_VERSION": lambda error: f"`covey store migrate --project {_project_of(error.path)}` migrates it",
    "NOTHING_TO_SHOW": lambda error: (
        f"`covey init {error.folder}` makes a project, `covey demo --store {error.folder}` a store with data"
    ),
    "PAGE_DAMAGED": lambda _: (
        "`pip install --force-reinstall covey` installs it again; in a clone of the repository, `make console` builds it"
    ),
    # keys
    "KEY_FILE_MISSING": lambda _: "`covey keys init ROLE` makes it, `covey init` makes those of a whole project",
    "KEY_FILE_OUTDATED": lambda _: "`covey keys init ROLE` makes keys, `covey init` makes project files",
    "NODE_KEY_INVALID": lambda _: "`covey keys show site-ID --json` prints it at the site, as `node`",
    "NODE_KEY_UNKNOWN": lambda _: (
        "`covey keys show site-ID --json` prints it here, as `node`; `covey start superlink` reads covey.toml"
    ),
    # certificates
    "CERTIFICATE_MISSING": lambda error: (
        f"`covey keys trust ROLE FILE{_at(error.path)}` takes the authority of the role's operator, from its ROLE.pub"
        if "/trust/" in error.path
        else f"`covey keys tls{_at(error.path)}` makes the certificates of the roles here"
    ),
    "CERTIFICATE_MALFORMED": lambda _: "`covey keys tls --renew` makes certificate and key again",
    "CERTIFICATE_EXPIRED": lambda _: "`covey keys tls --renew`, by its operator, makes a new one",
    "CERTIFICATE_UNTRUSTED": lambda error: (
        "`covey keys trust ROLE FILE` takes an authority, from its operator's ROLE.pub"
        if "/trust/" in error.trust
        else "a reader names the authority of the server's operator, keys/tls/ca.crt, in COVEY_TLS_AUTHORITY"
    ),
    "CERTIFICATE_OF_ANOTHER_HOST": lambda error: (
        f"`covey keys tls --role server --name {error.host} --renew`, by its operator, makes one that does"
    ),
    "CERTIFICATE_OF_ANOTHER_ROLE": lambda _: "`covey keys tls --role ROLE`, by its operator, makes one for its role",
    "CERTIFICATE_REFUSED": lambda _: (
        "at the peer, `covey keys trust ROLE FILE` takes the authority of this operator's ROLE.pub"
    ),
    "PEER_SPEAKS_CLEAR_TEXT": lambda _: "`covey keys tls`, by its operator, makes certificates",
    "PEER_SPEAKS_TLS": lambda error: f"`covey keys tls{_at(error.path)}` makes the certificates of the roles here",
    "CLEAR_TEXT_REFUSED": lambda error: (
        f"`covey keys tls --role {error.role} --name HOST{_at(error.path)}` makes the certificate"
    ),
    # ledgers
    "LEDGER_BROKEN": lambda _: "`covey ledger rebuild`, by the operator of the ledger, rebuilds it",
    "LEDGER_BEHIND": lambda _: "`covey ledger rebuild`, by the operator of the ledger, rebuilds it",
    # keys
    "KEY_NOT_IN_FORCE": lambda error: (
        f"all operators compare covey.toml with `covey keys show {error.role}`, and take a new key with `covey keys accept "
        f"{error.role}.pub`"
    ),
    # configuration
    "POLICY_MISSING": lambda _: "`covey init` and `covey start site` write one",
    "SITE_FILE_MISSING": lambda _: (
        "`covey start site ID --source URL --client-column NAME --time-column NAME` writes one"
    ),
    "SITE_FILE_OUTDATED": lambda error: f"`covey store migrate --project {Path(error.path).parent.parent}` rewrites it",
    # roles
    "PROOFS_REQUIRED": lambda _: "collect with --validity prio3",
    "UNREACHABLE": lambda error: _start(error.role) if error.why is None else "",
    "PEER_AWAY": lambda error: _start(error.role),
    "PEER_SILENT": lambda error: (
        f"its operator looks at its log, and `covey doctor` there says whether another program holds the port; then starts it "
        f"again with `covey start {_command(error.role)}`"
    ),
    "PEER_SLOW": lambda _: (
        "its operator looks at the load of its machine and at the network; the same command goes on later"
    ),
    "PEER_FLOODS": lambda error: (
        f"it is no {error.role} of this version: `covey doctor` there says which program holds the port; see "
        f"--{_command(error.role)} for another address"
    ),
    "PEER_SPEAKS_ANOTHER_PROTOCOL": lambda error: f"see --{_command(error.role)} for another address",
    "KEY_HOLDER_UNKNOWN": lambda _: "start the leader with --keyholder HOST:PORT",
    "PROVIDER_UNKNOWN": lambda _: "start the leader with --provider HOST:PORT",
    # the console
    "NO_VIEWS_FILE": lambda _: "`covey console --views FILE` names one",
    "EVENT_FILES_AWAY": lambda _: "start `covey console`, or the same command, with a file that exists: --events FILE",
    "NO_EVENTS": lambda _: "`covey console --events PATH --client-column NAME --time-column NAME` names them",
    "VIEWS_FILE_CHANGED": lambda _: "compare both texts, and take theirs, keep yours, or download yours",
    "VIEWS_NOT_KNOWN": lambda _: (
        "write these views out, or save the file and start the console with --trust-views, which executes it"
    ),
}
"""By code: the end of the error's line, or an empty text."""

_OPTIONS: Final[Mapping[str, str]] = {"start": "--from", "end": "--to", "site_clients": "--site-clients N"}
"""The options whose names differ from those of the settings, or that are shown with their value."""


def line_of(error: BaseException) -> str:
    """One line: the error, and its mend if the error does not contain it."""
    return "; ".join([str(error), *_distinct(error)])


def mend_of(error: BaseException) -> str:
    """The mend of an error that does not contain it; otherwise an empty text."""
    return "; ".join(_distinct(error))


def _distinct(error: BaseException) -> Iterable[str]:
    return dict.fromkeys(filter(None, _mends(error)))


def _mends(error: BaseException) -> Iterator[str]:
    """The mends of the error, and of the errors whose texts it contains."""
    text, seen = str(error), error
    while True:
        if isinstance(seen, CoveyError):
            code = getattr(seen, "reason", None) if seen.code == "REFUSED" else seen.code  # another party's refusal
            if (mend := _MENDS.get(str(code))) is not None:
                yield mend(seen)
            if settings := getattr(seen, "settings", ()):
                yield f"see {' and '.join(map(_option, settings))}"
        below = seen.__cause__ or seen.__context__
        if below is None or str(below) not in text:
            return
        seen = below


def _at(path: str) -> str:
    """The option that names the project of a file in `keys/tls/` or `keys/trust/`; empty for other files, and where it is here."""
    folder = Path(path).parent.parent
    return f" --project {folder.parent}" if folder.name == "keys" and folder.parent != Path() else ""


def _project_of(path: str) -> Path:
    """The directory of a project or store that has this database."""
    return next(
        (folder.parent for folder in Path(path).parents if folder.name in ("store", "ledgers", "roles")), Path()
    )


def _start(role: str) -> str:
    """The mend of a role that does not run."""
    return f"its operator starts it with `covey start {_command(role)}`; see --{_command(role)} for another address"


def _command(role: str) -> str:
    """The name of a role's command, and of the option with its address."""
    return role.replace(" ", "")


def _option(setting: str) -> str:
    """A setting as the command line has it. A setting of the lab has a dotted name, and is given as NAME=VALUE."""
    return f"{setting}=N" if "." in setting else _OPTIONS.get(setting, f"--{setting.replace('_', '-')}")
