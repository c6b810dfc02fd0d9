"""What the versions of models have done since the server began, in all of its workers together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from base.metrics import (
    FEATURE_STATES,
    MODEL_BATCH_ROWS,
    MODEL_FEATURES,
    MODEL_OUTCOMES,
    MODEL_QUEUE_ROWS,
    MODEL_READY,
    MODEL_REQUESTS,
    MODEL_SECONDS,
    MODEL_STAGES,
    Distribution,
    Sample,
)
from training.serving.versions.states import Failed, ModelState, Ready, Starting


@dataclass(frozen=True)
class VersionStatistics:
    """What one version has done.

    Attributes:
        requests: by outcome, of `base.metrics.MODEL_OUTCOMES`.
        succeeded_s, failed_s: seconds from the arrival of requests to their outcomes, added up.
        rows: predictions that were made.
        batches: the rows of the batches.
        stages: seconds by stage, of `base.metrics.MODEL_STAGES`: of each request in the queue, of each batch in the others.
        features: by state, of `base.metrics.FEATURE_STATES`.
        outputs: how many outputs lie in each part of the test rows' outputs; all 0: the lineage does not say which.
        waiting: rows that wait now.
        last_us: the time of the last batch, µs since the epoch; 0: there was none.
    """

    model: str
    version: int
    requests: Mapping[str, int]
    succeeded_s: float
    failed_s: float
    rows: int
    batches: Distribution
    stages: Mapping[str, Distribution]
    features: Mapping[str, int]
    outputs: tuple[int, ...]
    waiting: int
    last_us: int

    def samples(self) -> Iterator[Sample]:
        """Its metrics."""
        names = self.model, str(self.version)
        yield Sample(MODEL_QUEUE_ROWS, names, self.waiting)
        yield Sample(MODEL_BATCH_ROWS, names, self.batches)
        for stage in MODEL_STAGES:
            yield Sample(MODEL_SECONDS, (*names, stage), self.stages[stage])
        for outcome in MODEL_OUTCOMES:
            yield Sample(MODEL_REQUESTS, (*names, outcome), self.requests[outcome])
        for state in FEATURE_STATES:
            yield Sample(MODEL_FEATURES, (*names, state), self.features[state])


def ready_samples(models: Iterable[ModelState]) -> Iterator[Sample]:
    """Whether each version of a worker's models answers. One that is being loaded has no sample."""
    for model in models:
        for version, state in model.versions:
            match state:
                case Ready():
                    yield Sample(MODEL_READY, (model.name, str(version)), 1.0)
                case Failed():
                    yield Sample(MODEL_READY, (model.name, str(version)), 0.0)
                case Starting():
                    pass
