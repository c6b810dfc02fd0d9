"""Programs that end by SIGKILL, or meet a full disk, at a chosen write: strace stops the process at the n-th call of one kind.

A process is killed before the call is executed, so a run over every n leaves each state of the files that a crash can leave.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
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


def killed_in_forks(
    module: str, runs: Sequence[tuple[str, int, Sequence[str]]], folder: Path, *, injection: str = "signal=SIGKILL"
) -> list[Ended]:
    """Run a module's `main` once for each (call, n, arguments), and end each run at its n-th call. The module is imported once a call.

    Args:
        folder: for the outputs of the runs.
        injection: what happens at that call; or an error, such as `error=ENOSPC`.
    """
    ended: dict[int, Ended] = {}
    for call in dict.fromkeys(call for call, _, _ in runs):
        at = [number for number, run in enumerate(runs) if run[0] == call]
        base = max(runs[number][1] for number in at)
        outputs = [folder / f"{call}-{number}.out" for number in at]
        jobs = "".join(
            json.dumps([runs[number][1], list(runs[number][2]), str(output)]) + "\n"
            for number, output in zip(at, outputs, strict=True)
        )
        command = [sys.executable, "-m", "tests.forking", module, call, str(base)]
        done = _injected(command, f"{call}:{injection}:when={base}", None, None, 60 + 10 * len(at), jobs)
        codes = list(map(int, done.out.split()))
        assert len(codes) == len(at), done.err
        for number, code, output in zip(at, codes, outputs, strict=True):
            ended[number] = Ended(code == -signal.SIGKILL, code, output.read_text(), Path(f"{output}.err").read_text())
    return [ended[number] for number in range(len(runs))]


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
    command: Sequence[str],
    injection: str,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    seconds: float,
    given: str | None = None,
) -> Ended:
    call = injection.split(":")[0]
    options = ["-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={injection}"]
    return _traced(options, command, cwd, env, seconds, given)


def _traced(
    options: Sequence[str],
    command: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    seconds: float,
    given: str | None = None,
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
        input=given,
    )
    killed = done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
    return Ended(killed, done.returncode, done.stdout, done.stderr)
