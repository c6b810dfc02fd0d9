"""What an interval costs a prediction, in a real store; see `benchmarks.prediction_intervals`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from featurestore.store import Store
from simulations.measuring import medians, timed
from simulations.tasks.flights import views
from simulations.tasks.worlds import WorldNoise, published
from training.fit.train import train
from training.serving.ask import Ask, Keyed
from training.serving.inputs.model_inputs import ModelInputs
from training.serving.kinds.loading import Loading
from training.serving.kinds.open_runner import open_runner
from training.serving.signature import ModelSignature
from training.serving.versions.loaded import LoadedVersion

from .prediction_intervals_flights import Flights

BATCH: Final = 64
TURNS: Final = 9


def cost(flights: Flights, directory: Path) -> dict[str, float]:
    """Milliseconds of CPU, on one thread: a row with and without an interval, a new key, and the plan of an epoch."""
    with published(flights.exact, views(flights.carriers, flights.price), WorldNoise(flights.price, 1)) as store:
        made = train(flights.config("linear", store, directory))
        with Store.open(store.root) as opened:
            signature = ModelSignature.of(made.model)
            inputs = ModelInputs.of(made.model, signature, opened)
            loaded = LoadedVersion(made.model, signature, inputs, open_runner(made.model, Loading()), 0)
            carriers = [flights.carriers[i % len(flights.carriers)] for i in range(BATCH)]
            some = Keyed({"carrier": carriers, "distance": [500.0] * BATCH, "departs": [600.0] * BATCH})
            plain, sure = (Ask("linear", None, some, BATCH, level=level) for level in (None, 0.9))
            snapshot = opened.blocks.require()
            _, plan_s = timed(lambda: loaded.intervals.plan(opened, snapshot))
            _, first_s = timed(lambda: loaded.compute(opened, [sure]))
            without_s, with_s = medians(
                lambda: loaded.compute(opened, [plain]), lambda: loaded.compute(opened, [sure]), turns=TURNS
            )
    return {
        "ms_per_row": round(1e3 * with_s / BATCH, 4),
        "ms_per_row_without": round(1e3 * without_s / BATCH, 4),
        "ms_first": round(1e3 * (first_s - with_s) / len(flights.carriers), 2),
        "ms_plan": round(1e3 * plan_s, 1),
    }
