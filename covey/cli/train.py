"""`covey train`."""

from __future__ import annotations

import json
import shlex
import warnings
from pathlib import Path
from typing import Annotated

import typer

from .store_option import store_directory


def train(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG.toml", help="Labels, features, split and model (docs/models.md)."),
    ],
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="DIR",
            callback=store_directory,
            help="The store's directory. Default: the one in CONFIG.toml.",
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Allow CONFIG.toml to name Python files with views: they are code, and are run."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a baseline model on labels and released features, test it on later days, export it and register its lineage.

    If there is no store yet and CONFIG.toml has a section [collect], its events are collected first.
    """
    from .predict import require_torch

    require_torch()
    from deployment.printing.console import progress_bars, talk_console
    from featurestore.define.views_file import load_declared
    from featurestore.join.mixed_clocks import MixedClocks
    from featurestore.store import Store
    from training.fit.config import TrainConfig
    from training.fit.train import train as train_model
    from training.serving.in_process.opened_model import OpenedModel
    from training.serving.in_process.predictions import print_predicted

    settings = TrainConfig.load(config, store)
    talk = talk_console()
    with progress_bars(talk) as progress, warnings.catch_warnings():
        warnings.simplefilter("default", MixedClocks)
        warnings.showwarning = lambda message, *_, **__: talk.print(
            f"warning: {message}", style="yellow", soft_wrap=True
        )
        trained = train_model(settings, progress, trust=trust)
    if as_json:
        report = {"model": str(trained.model), "folder": str(trained.model.folder), **trained.report.to_dict()}
        typer.echo(json.dumps(report))
        return
    typer.echo(str(trained.report))
    talk.print(f"registered as {trained.model}, in {trained.model.folder}", soft_wrap=True)
    views = settings.features.views
    on_demand = () if views is None else load_declared(views, need_views=False).on_demand
    with Store.open(settings.store, on_demand=on_demand) as opened:
        served = OpenedModel.open(opened, str(trained.model), views)
        example = {name: [value] for name, value in trained.example.items()}
        typer.echo("\nthe last label's keys, served now:")
        print_predicted(served, example, served.predict(example))
    words = ",".join(f"{name}={value}" for name, value in trained.example.items())
    command = ["covey", "predict", trained.model.name, *([words] if words else []), "--store", str(settings.store)]
    talk.print(f"predict again: {shlex.join(command)}{'' if views is None else f' --views {views}'}", soft_wrap=True)
