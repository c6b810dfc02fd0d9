"""A model whose rows of the registry are damaged stays as it is, and the other models of a server follow."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from featurestore.publish.model_versions import promote
from featurestore.registry.serving_versions import Weights
from featurestore.store import Store
from training.serving.ask import Ask, Keyed
from training.serving.kinds.loading import Loading
from training.serving.serving import Serving
from training.serving.settings import ServingSettings
from training.serving.versions.model_loader import ModelLoader

from .known_models import KnownStore


def clock() -> int:
    return 7


async def answered(serving: Serving, model: str, version: int) -> None:
    """Ask until this version answers."""
    ask = Ask(model, None, Keyed({"dest": ["ATL"], "distance": [0]}), 1)
    async with asyncio.timeout(60):
        while (await serving.asked(ask)).version != version:
            await asyncio.sleep(0.01)


async def ready(serving: Serving, *names: str) -> None:
    async with asyncio.timeout(60):
        while {one.name for one in serving.models() if one.why is None} != {*names}:
            await asyncio.sleep(0.01)


def test_it_is_named_and_the_others_follow(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = KnownStore(tmp_path / "project")
    for name in ("early", "late"):
        for version in (1, 2):
            known.register(name, version)
        promote(known.directory, name, Weights.single(name, 1), clock)

    async def follow() -> None:
        with Store.open(known.directory) as store:
            loader = ModelLoader(store, ServingSettings(), Loading(False, "cpu", False, 1), None)
            serving = Serving(store, loader, ServingSettings())
            async with serving.running():
                await ready(serving, "early", "late")
                with closing(sqlite3.connect(known.directory / "store" / "registry.db")) as database, database:
                    database.execute("UPDATE promotions SET weights = 'damaged' WHERE name = 'early'")
                promote(known.directory, "late", Weights.single("late", 2), clock)
                await answered(serving, "late", 2)
                await answered(serving, "early", 1)

    asyncio.run(follow())
    assert "early cannot be looked up, and stays as it is: a promotion of model 'early' cannot be read" in caplog.text
