"""Models: their versions, metrics and shares of the requests."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from fastapi.concurrency import run_in_threadpool

from base.errors import CoveyError
from covey.cli.mends import line_of
from covey.console.commands import command
from covey.console.console import Console
from covey.console.roles import Operator
from covey.errors import require_confirmed
from deployment.inspect.models import ModelVersion, model_versions
from featurestore.publish.model_versions import Change, delete_models, promote, roll_back
from featurestore.registry.serving_versions import parse_serving
from training.serving.statistics.remote_statistics import read_statistics

from .model_forms import (
    Deletion,
    Models,
    PromotionRequest,
    SeenRequest,
    ServedVersion,
    ServingChange,
    ServingStatistics,
    Stamp,
    Word,
    model_of,
    shares_of,
)

Name = Annotated[str, Path(max_length=63)]
Version = Annotated[int | None, Query(ge=1, le=10**9 - 1)]
Versions = Annotated[list[Word], Query(min_length=1, max_length=100)]
_MODELS: Final = "covey", "models"


def router(console: Console) -> APIRouter:
    """The routes of this place."""
    routes = APIRouter(prefix="/models", tags=["models"])

    def line(*words: str) -> str:
        return command(*_MODELS, *words, "--store", str(console.directory))

    @routes.get("", operation_id="listModels")
    def list_all() -> Models:
        """All models with their versions."""
        by_name: dict[str, list[ModelVersion]] = {}
        for one in model_versions(console.store):
            by_name.setdefault(one.model.name, []).append(one)
        return Models(
            models=tuple(model_of(versions, console.directory) for versions in by_name.values()),
            serving=console.inputs.serving,
            train_command=command("covey", "train", "CONFIG.toml", "--store", str(console.directory)),
        )

    asking = asyncio.Lock()

    @routes.get("/statistics", operation_id="readServingStatistics")
    async def statistics() -> ServingStatistics:
        """What the running server of models has done."""
        if console.inputs.serving is None:
            return ServingStatistics(url=None, versions=(), problem=None)
        try:
            async with asking:  # that server may hang, and a request that waits must not hold a thread
                found = await run_in_threadpool(read_statistics, console.inputs.serving)
        except CoveyError as error:  # the other server's trouble is no error of this one
            return ServingStatistics(url=console.inputs.serving, versions=(), problem=line_of(error))
        return ServingStatistics(url=console.inputs.serving, versions=tuple(map(ServedVersion.of, found)), problem=None)

    @routes.get("/{name}/promotion", operation_id="previewPromotion")
    def preview_promotion(name: Name, versions: Versions) -> ServingChange:
        """What a promotion would change."""
        history, serving = console.store.model_history(name), parse_serving(name, versions)
        history.require_versions(serving)
        after = history.weights_of(serving)
        return ServingChange(
            before=shares_of(history.in_force), after=shares_of(after), command=line("promote", name, *versions)
        )

    @routes.post("/{name}/promotion", operation_id="promoteModel")
    def promote_versions(name: Name, body: PromotionRequest, _user: Operator) -> ServingChange:
        """Put versions in force."""
        require_confirmed(body.confirmed, f"a promotion of model {name!r}")
        done = line("promote", name, *body.versions)
        serving = parse_serving(name, body.versions)
        return _changed(promote(console.directory, name, serving, console.clock, seen=body.seen), done)

    @routes.get("/{name}/rollback", operation_id="previewRollback")
    def preview_rollback(name: Name) -> ServingChange:
        """What a rollback would bring back."""
        history = console.store.model_history(name)
        before, after = history.in_force, history.in_force_before()
        return ServingChange(before=shares_of(before), after=shares_of(after), command=line("rollback", name))

    @routes.post("/{name}/rollback", operation_id="rollBackModel")
    def roll_back_versions(name: Name, body: SeenRequest, _user: Operator) -> ServingChange:
        """Bring back what was in force before."""
        require_confirmed(body.confirmed, f"a rollback of model {name!r}")
        done = line("rollback", name)
        return _changed(roll_back(console.directory, name, console.clock, seen=body.seen), done)

    @routes.get("/{name}/deletion", operation_id="previewDeletion")
    def preview_deletion(name: Name, version: Version = None) -> Deletion:
        """What a deletion of one version, or of all, would take away."""
        history = console.store.model_history(name)
        if version is not None:
            history.require_deletable(version)
        gone = history.versions if version is None else (version,)
        return Deletion(
            versions=tuple(f"{name}@v{one}" for one in gone), command=line("delete", _reference(name, version), "--yes")
        )

    @routes.delete("/{name}", operation_id="deleteModel")
    def delete(
        name: Name, seen: Stamp, _user: Operator, version: Version = None, *, confirmed: bool = False
    ) -> Deletion:
        """Delete one version, or all."""
        reference = _reference(name, version)
        require_confirmed(confirmed, f"a deletion of model {reference!r}")
        done = line("delete", reference, "--yes")
        gone = delete_models(console.directory, reference, console.clock, seen=seen)
        return Deletion(versions=tuple(gone), command=done)

    return routes


def _reference(name: str, version: int | None) -> str:
    return name if version is None else f"{name}@v{version}"


def _changed(change: Change, done: str) -> ServingChange:
    return ServingChange(before=shares_of(change.before), after=shares_of(change.after), command=done)
