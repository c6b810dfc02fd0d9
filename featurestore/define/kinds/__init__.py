"""The kinds of features that come with Covey, one in each file. `featurestore.define.feature` declares their interfaces."""

from .client_count import ClientCount
from .count import Count
from .histogram import Histogram
from .mean import Mean
from .rate import Rate

__all__ = ["ClientCount", "Count", "Histogram", "Mean", "Rate"]
