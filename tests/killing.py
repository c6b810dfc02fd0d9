"""Programs that end by SIGKILL, or meet a full disk, at a chosen write: strace stops the process at the n-th call of one kind.

A process is killed before the call is executed, so a run over every n leaves each state of the files that a crash can leave.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

WRITES: Final = ("pwrite64", "fdatasync", "ftruncate", "unlink")
"""The calls by which SQLite changes its files. Its shared memory is not a file that a crash must keep."""


@dataclass(frozen=True)
class Ended:
    """How a program ended: by the injected SIGKILL, or by itself; and what it had written to its standard output by then."""

    killed: bool
    code: int
    out: str
    err: str


def killed_at(
    command: Sequence[str],
    n: int,
    *,
    call: str = WRITES[0],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = 120,
) -> Ended:
    """Run a program, and end it by SIGKILL at the n-th call (from 1) of a thread. It ends by itself if it makes fewer."""
    return _injected(command, f"{call}:signal=SIGKILL:when={n}", cwd, env, seconds)


def failing_at(
    command: Sequence[str],
    n: int,
    *,
    call: str = WRITES[0],
    error: str = "ENOSPC",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = 120,
) -> Ended:
    """Run a program whose n-th call (from 1) of a thread, and no other, fails with an error."""
    return _injected(command, f"{call}:error={error}:when={n}", cwd, env, seconds)


def count_writes(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, seconds: float = 120
) -> Counter[str]:
    """Run a program to its end, and count its calls by name."""
    with tempfile.NamedTemporaryFile("r") as calls:
        ended = _traced(["-o", calls.name, "-e", f"trace={','.join(WRITES)}"], command, cwd, env, seconds)
        assert ended.code == 0, ended.err
        found = Counter(line.split("(")[0].split()[-1] for line in calls if "(" in line and "resumed" not in line)
    return Counter({name: found[name] for name in WRITES if found[name]})


def every_write(counts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Each call and n at which a program can be killed."""
    return ((call, n) for call, most in counts.items() for n in range(1, most + 1))


def require_strace() -> None:
    """Skip the test where strace is missing, or may not trace."""
    if (why := _why_not()) is not None:
        pytest.skip(why)


@cache
def _why_not() -> str | None:
    if shutil.which("strace") is None:
        return "strace is not installed (apt: strace)"
    tried = subprocess.run(["strace", "-f", "-o", os.devnull, "true"], check=False, capture_output=True, text=True)
    return f"strace may not trace here: {tried.stderr.strip()[:200]}" if tried.returncode else None


def _injected(
    command: Sequence[str], injection: str, cwd: Path | None, env: Mapping[str, str] | None, seconds: float
) -> Ended:
    call = injection.split(":")[0]
    return _traced(["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={injection}"], command, cwd, env, seconds)


def _traced(
    options: Sequence[str], command: Sequence[str], cwd: Path | None, env: Mapping[str, str] | None, seconds: float
) -> Ended:
    # no --seccomp-bpf: with it, strace 6.13 loses injections on some kernels
    done = subprocess.run(
        ["strace", "-f", "-qq", *options, *command],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=None if env is None else dict(env),
        timeout=seconds,
    )
    killed = done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    return Ended(killed, done.returncode, done.stdout, done.stderr)
