"""The kinds of features that come with covey, a file each. `featurestore.define.feature` says what a kind is."""

from .client_count import ClientCount
from .count import Count
from .histogram import Histogram
from .mean import Mean
from .rate import Rate

__all__ = ["ClientCount", "Count", "Histogram", "Mean", "Rate"]
