"""Live publication: items that are dated to the moment from which they can be read.

A collector signs this moment, and the store is written after that. So the moment is chosen a little ahead, and the publisher
commits before it or not at all: a join never reads a value at a time at which it could not be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from base.times import SECOND_US
from featurestore.define.release import Release, Void
from featurestore.errors import PublicationLate

from .publish import Publisher

_Item = TypeVar("_Item", bound=Release | Void)

AHEAD_US: Final = (2 * SECOND_US, 20 * SECOND_US, 200 * SECOND_US)
"""How far ahead of the clock the moment is, try after try. The last quarter of it is for the commit itself."""


def publish_live(
    publisher: Publisher,
    make: Callable[[int], Iterable[_Item]],
    evidence: Iterable[bytes],
    clock: Callable[[], int],
) -> list[_Item]:
    """Publish the items that `make` gives for the moment (µs) from which they can be read; returns them.

    Raises:
        PublicationLate: the store needs minutes to write them; nothing is published. And the errors of `Publisher.publish`.
    """
    kept = list(evidence)
    for ahead in AHEAD_US:
        moment = clock() + ahead
        items = list(make(moment))
        if not items:
            return []
        try:
            publisher.publish(items, kept, before=moment - ahead // 4)
        except PublicationLate:
            if ahead == AHEAD_US[-1]:
                raise
        else:
            break
    return items
