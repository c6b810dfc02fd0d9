"""The committed protobuf code equals the output of `make proto` for the .proto files."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def commands() -> list[list[str]]:
    """The arguments of protoc in the recipe of `make proto`."""
    recipe = re.search(r"^proto:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    lines = [line.strip().partition(" -m grpc_tools.protoc ")[2] for line in recipe[1].splitlines()]
    assert lines
    assert all(lines)
    return [shlex.split(line) for line in lines]


def generated(folder: Path) -> dict[str, bytes]:
    paths = [
        path
        for top in (
            "aggregator",
            "federation",
            "featurestore",
            "covey",
            "deployment",
            "training",
            "edge_client",
            "crypto",
            "simulations",
            "base",
        )
        for pattern in GENERATED
        for path in (folder / top).rglob(pattern)
    ]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_make_proto_gives_the_committed_files(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed (extra: dev)")
    for arguments in commands():
        moved = [re.sub(r"^(--\w+_out)=\.$", rf"\1={tmp_path}", one) for one in arguments]
        assert moved != arguments
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *moved], cwd=ROOT, check=True, timeout=300)
    committed, made = generated(ROOT), generated(tmp_path)
    assert sorted(made) == sorted(committed)
    assert [name for name in made if made[name] != committed[name]] == []


def test_every_proto_file_is_in_the_recipe() -> None:
    named = {one for arguments in commands() for one in arguments if one.endswith(".proto")}
    found = {
        path.relative_to(ROOT).as_posix()
        for top in ROOT.iterdir()
        if top.is_dir() and not top.name.startswith(".") and top.name not in ("tests", "shared")
        for path in top.rglob("*.proto")
    }
    assert named == found
