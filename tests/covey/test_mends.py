"""Commands add the mend to errors of the layers below. These errors name no command and no option themselves."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from aggregator.errors import KeyHolderUnknown, PeerRefused, RemoteRefusal, Unreachable
from base.errors import CertificateMissing, ClearTextRefused, CoveyError
from covey.cli.mends import _MENDS, line_of
from deployment.errors import CollectionFailed, RunRefused, UsageError
from edge_client.errors import EventFilesAway
from featurestore.errors import RemoteFailed, StoreNotFound, UnknownView
from tests.base.test_error_codes import errors

ROOT = Path(__file__).parents[2]
LOWER = ("base", "crypto", "featurestore", "federation", "aggregator", "edge_client", "training/data")
SPOKEN = re.compile(r"(^|[\s`(])--[a-z]|`covey [a-z]|\bcovey (run|keys|store|train|init|serve|start|collect) ")
OPTION = re.compile(r"(^|[\s`(])--[a-z]")
OF_COMMANDS = (
    "deployment/printing/", "deployment/doctor/", "deployment/local/service_processes.py", "deployment/local/supervision/",
    "training/bundle/server_command.py",
)  # fmt: skip
"""What prints the answers of commands, and what starts commands."""
OF_FILES = {"edge_client/policy_file.py"}
"""Modules whose texts become comments in files that commands write."""
OF_PIP = "pip install"


def refused(reason: str) -> RemoteRefusal:
    return RemoteRefusal("leader", reason, "the plan is refused", {})


def chained(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ClearTextRefused("h:1", "provider", "p/keys/tls/provider.crt"), "h:1 is not a loopback address, and there is no "
         "p/keys/tls/provider.crt: without TLS, others on the network could read and change messages; `covey keys tls --role "
         "provider --name HOST --project p` makes the certificate"),
        (CertificateMissing("keys/tls/leader.crt", "it is the leader's"), "no keys/tls/leader.crt: it is the leader's; `covey "
         "keys tls` makes the certificates of the roles here"),
        (StoreNotFound("s"), "no store at s; `covey run VIEWS.py --events FILE --store s` makes one"),
        (RemoteFailed("no answer"), "no answer"),
        (EventFilesAway("no event file e.csv: there is no such file or folder"), "no event file e.csv: there is no such file "
         "or folder; start `covey console`, or the same command, with a file that exists: --events FILE"),
        (PermissionError("denied"), "denied"),
        (KeyHolderUnknown(), "this leader has no key holder. Start it with the address of one; start the leader with "
         "--keyholder HOST:PORT"),
        (refused("PROOFS_REQUIRED"), "leader: the plan is refused (PROOFS_REQUIRED); collect with --validity prio3"),
        (refused("PLAN_UNKNOWN"), "leader: the plan is refused (PLAN_UNKNOWN)"),
        (Unreachable("key holder", "h:1"), "the key holder at h:1 does not answer; its operator starts it with `covey start "
         "keyholder`; see --keyholder for another address"),
        (UnknownView("v", ["w"]), "no view 'v' in this store; it has: w"),
        (RunRefused("fewer days", settings=("start", "end")), "fewer days; see --from and --to"),
        (UsageError("it exists", settings=("allow_unsigned",)), "it exists; see --allow-unsigned"),
        (RunRefused("declare it", settings=("fleet.site_clients",)), "declare it; see fleet.site_clients=N"),
    ],
)  # fmt: skip
def test_a_line_is_the_error_and_what_to_type(error: Exception, line: str) -> None:
    assert line_of(error) == line


def test_a_mend_of_an_error_whose_words_are_repeated_stands_once() -> None:
    inner = refused("PROOFS_REQUIRED")
    failed = chained(CollectionFailed(f"{inner}; the plan is kept"), inner)
    assert line_of(failed) == f"{inner}; the plan is kept; collect with --validity prio3"
    peer = chained(PeerRefused(inner), inner)
    assert line_of(chained(CollectionFailed(str(peer)), peer)).count("--validity prio3") <= 1


def test_an_error_that_only_happened_before_adds_nothing() -> None:
    assert line_of(chained(RemoteFailed("no answer"), StoreNotFound("s"))) == "no answer"


def test_every_mend_is_of_an_error_that_there_is() -> None:
    assert set(_MENDS) <= {kind.code for kind in errors()}
    assert all(issubclass(kind, CoveyError) for kind in errors())


def texts_with(pattern: re.Pattern[str], path: Path) -> list[str]:
    """The texts of a module, but its docstrings, in which a pattern occurs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.value!r}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in prose
        and OF_PIP not in node.value
        and pattern.search(node.value)
    ]


def test_no_message_of_a_lower_layer_speaks_of_a_command_or_an_option() -> None:
    paths = [path for room in LOWER for path in (ROOT / room).rglob("*.py")]
    paths = [path for path in paths if not path.name.endswith(("_pb2.py", "_pb2_grpc.py"))]
    assert [
        text for path in paths if str(path.relative_to(ROOT)) not in OF_FILES for text in texts_with(SPOKEN, path)
    ] == []


def test_no_message_of_a_run_or_of_training_speaks_of_an_option() -> None:
    paths = [path for room in ("deployment", "training") for path in (ROOT / room).rglob("*.py")]
    spoken = [path for path in paths if not str(path.relative_to(ROOT)).startswith(OF_COMMANDS)]
    assert [text for path in spoken for text in texts_with(OPTION, path)] == []
