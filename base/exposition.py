"""Samples as Prometheus text. The only module that imports prometheus_client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final, assert_never

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from base.metrics import METRICS, Distribution, Kind, LabelBounds, Metric, Sample

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


def text_of(samples: Iterable[Sample]) -> bytes:
    """The text of `/metrics`: the samples by metric, in the order of the list of metrics.

    Gauges come from many places, so their labels are bounded here. A gauge whose name is one too many is left out, because
    gauges cannot be added up. Counters and histograms are bounded where they are counted.

    Raises:
        ValueError: a metric has no such labels.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(samples))
    return generate_latest(registry)


class _Families(Collector):
    """The samples in the form of prometheus_client."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._by_metric: dict[Metric, list[Sample]] = {}
        bounds = LabelBounds()
        for sample in samples:
            if bounds.within(sample.metric, sample.labels) == sample.labels:
                self._by_metric.setdefault(sample.metric, []).append(sample)

    def collect(self) -> Iterator[Family]:
        """One family a metric that has samples."""
        for metric in METRICS:
            if metric in self._by_metric:
                yield _family(metric, self._by_metric[metric])


def _family(metric: Metric, samples: list[Sample]) -> Family:
    labels = [label.name for label in metric.labels]
    match metric.kind:
        case Kind.COUNTER:
            counter = CounterMetricFamily(metric.name, metric.help, labels=labels)
            for sample in samples:
                counter.add_metric(sample.labels, _number(sample))
            return counter
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(metric.name, metric.help, labels=labels)
            for sample in samples:
                gauge.add_metric(sample.labels, _number(sample))
            return gauge
        case Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(metric.name, metric.help, labels=labels)
            ends = (*map(str, metric.buckets), "+Inf")
            for sample in samples:
                found = _distribution(sample)
                buckets = list(zip(ends, accumulate(found.counts), strict=True))
                histogram.add_metric(sample.labels, buckets, found.total)
            return histogram
        case other:
            assert_never(other)


def _number(sample: Sample) -> float:
    if isinstance(sample.value, Distribution):
        raise TypeError(f"{sample.metric.name} is a {sample.metric.kind}, and its value a distribution")
    return sample.value


def _distribution(sample: Sample) -> Distribution:
    if not isinstance(sample.value, Distribution):
        raise TypeError(f"{sample.metric.name} is a histogram, and its value a number")
    return sample.value
