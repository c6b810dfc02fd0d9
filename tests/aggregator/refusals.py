"""The refusal of a service, as its client receives it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aggregator.errors import RemoteRefusal


def refused(call: Callable[[], object]) -> RemoteRefusal:
    """The refusal that a call ends in; it shows no traceback of the service."""
    with pytest.raises(RemoteRefusal) as caught:
        call()
    assert "Traceback" not in str(caught.value)
    return caught.value
