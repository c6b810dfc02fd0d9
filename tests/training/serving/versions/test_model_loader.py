"""What a server reads of the registry fits together, whatever is registered, promoted or deleted meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from featurestore.publish.model_versions import delete_models, promote
from featurestore.registry.models import RegisteredModel
from featurestore.registry.serving_versions import ModelHistory, Weights
from featurestore.store import Store
from tests.training.serving.known_models import KnownStore
from training.serving.kinds.loading import Loading
from training.serving.kinds.runner import Runner
from training.serving.settings import ServingSettings
from training.serving.versions import model_loader
from training.serving.versions.loaded import LoadedVersion
from training.serving.versions.model_loader import LoaderClosed, ModelLoader
from training.serving.versions.states import Failed

LOADING = Loading(trust=False, device="cpu", compile=False, limit_s=1)


def clock() -> int:
    return 7


@pytest.fixture
def known(tmp_path: Path) -> KnownStore:
    made = KnownStore(tmp_path / "project")
    made.register("late", 1)
    made.register("late", 2)
    return made


class ChangedBetweenReads(Store):
    """A store that somebody changes after its promotions, or one of its models, were read."""

    change: Callable[[], object] = staticmethod(lambda: None)

    def model_history(self, model: str) -> ModelHistory:
        found = super().model_history(model)
        self._once()
        return found

    def model(self, name: str) -> RegisteredModel:
        found = super().model(name)
        self._once()
        return found

    def _once(self) -> None:
        change, self.change = self.change, lambda: None
        change()


def test_it_loads_the_versions_in_force_and_those_that_are_asked_for(known: KnownStore) -> None:
    promote(known.directory, "late", Weights.single("late", 1), clock)
    with Store.open(known.directory) as store:
        loader = ModelLoader(store, ServingSettings(), LOADING, None)
        found = loader.look("late", {}, ())
        assert found is not None
        assert (found.known, found.weights.versions, [*found.loaded]) == ((1, 2), (1,), [1])
        loaded = found.loaded[1]
        assert isinstance(loaded, LoadedVersion)
        found = loader.look("late", {1: loaded.model}, (2, 9))
        assert found is not None
        assert ([*found.loaded], found.outdated) == ([2], {})
        assert loader.look("nothing", {}, ()) is None


@pytest.mark.parametrize("what", ["a registration", "a promotion and a deletion", "the deletion of the name"])
def test_a_change_between_two_reads_is_no_error_and_shows_in_the_stamp(known: KnownStore, what: str) -> None:
    def change() -> None:
        match what:
            case "a registration":
                known.register("late", 3)
            case "a promotion and a deletion":
                promote(known.directory, "late", Weights.single("late", 1), clock)
                delete_models(known.directory, "late@v2", clock)
            case _:
                delete_models(known.directory, "late", clock)

    with ChangedBetweenReads(known.directory, clock) as store:
        loader = ModelLoader(store, ServingSettings(), LOADING, None)
        stamp = loader.stamp()
        store.change = change
        found = loader.look("late", {}, ())
        assert found is not None
        assert all(isinstance(one, LoadedVersion) for one in found.loaded.values())
        assert loader.stamp() != stamp
        found = loader.look("late", {}, ())
        if what == "the deletion of the name":
            assert found is None
        else:
            assert found is not None
            assert {*found.loaded} == {*found.weights.versions}


def test_a_damaged_version_is_not_loaded_and_says_why(known: KnownStore) -> None:
    damage(known, 2)
    with Store.open(known.directory) as store:
        found = ModelLoader(store, ServingSettings(), LOADING, None).look("late", {}, ())
    assert found is not None
    failed = found.loaded[2]
    assert isinstance(failed, Failed)
    assert "differs from the registered file" in failed.why


def damage(known: KnownStore, version: int) -> None:
    (known.directory / "store" / "models" / "late" / f"v{version}" / "trees.json").write_bytes(b"{}")


def test_a_server_that_starts_with_a_damaged_version_takes_the_one_before_it(known: KnownStore) -> None:
    known.register("late", 3)
    promote(known.directory, "late", Weights.of("late", {1: 1, 2: 1}), clock)
    promote(known.directory, "late", Weights.of("late", {1: 1, 3: 1}), clock)
    damage(known, 3)
    with Store.open(known.directory) as store:
        loader = ModelLoader(store, ServingSettings(), LOADING, None)
        found = loader.look("late", {}, ())
        assert found is not None
        assert found.weights == Weights.of("late", {1: 1, 2: 1})
        ready = {version for version, one in found.loaded.items() if isinstance(one, LoadedVersion)}
        assert (ready, isinstance(found.loaded[3], Failed)) == ({1, 2}, True)
        held = {version: one.model for version, one in found.loaded.items() if isinstance(one, LoadedVersion)}
        found = loader.look("late", held, ())
        assert found is not None
        assert found.weights == Weights.of("late", {1: 1, 3: 1})  # the server that holds a version decides itself


@pytest.mark.parametrize("damaged", [(1, 2), (2,)])
def test_without_an_earlier_version_that_answers_the_one_in_force_says_why(
    known: KnownStore, damaged: tuple[int, ...]
) -> None:
    for version in damaged:
        damage(known, version)
    if damaged == (2,):
        delete_models(known.directory, "late@v1", clock)
    with Store.open(known.directory) as store:
        found = ModelLoader(store, ServingSettings(), LOADING, None).look("late", {}, ())
    assert found is not None
    assert found.weights == Weights.single("late", 2)
    assert all(isinstance(one, Failed) for one in found.loaded.values())


def test_a_damaged_lineage_is_a_fault_of_its_version_only(known: KnownStore) -> None:
    promote(known.directory, "late", Weights.of("late", {1: 1, 2: 1}), clock)
    with closing(sqlite3.connect(known.directory / "store" / "registry.db")) as database, database:
        database.execute("UPDATE models SET lineage = 'damaged' WHERE version = 2")
    with Store.open(known.directory) as store:
        loader = ModelLoader(store, ServingSettings(), LOADING, None)
        assert loader.names() == ["late"]
        found = loader.look("late", {}, ())
    assert found is not None
    failed = found.loaded[2]
    assert isinstance(failed, Failed)
    assert "lineage of model 'late' v2 cannot be read" in failed.why
    assert isinstance(found.loaded[1], LoadedVersion)


def test_a_loader_that_was_closed_while_a_model_was_opened_reads_no_store(
    known: KnownStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    real = model_loader.open_runner
    with Store.open(known.directory) as store:
        loader = ModelLoader(store, ServingSettings(), LOADING, None)

        def open_runner(model: RegisteredModel, loading: Loading) -> Runner:
            runner = real(model, loading)
            monkeypatch.setattr(runner, "close", lambda: closed.append("runner"), raising=False)
            loader.close()
            return runner

        monkeypatch.setattr(model_loader, "open_runner", open_runner)
        with pytest.raises(LoaderClosed):
            loader.look("late", {}, ())
        assert closed == ["runner"]
        for read in (loader.stamp, loader.names):
            with pytest.raises(LoaderClosed):
                read()
