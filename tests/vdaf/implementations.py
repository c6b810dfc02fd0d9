"""All implementations of Prio3 that the tests of this folder run on."""

from tests.vdaf.fast_instance import BATCH, SINGLE
from tests.vdaf.plain_instance import PLAIN, PLAIN_TYPES

__all__ = ["BATCH", "IMPLEMENTATIONS", "PLAIN", "PLAIN_TYPES", "SINGLE"]

IMPLEMENTATIONS = [PLAIN, SINGLE, BATCH]
