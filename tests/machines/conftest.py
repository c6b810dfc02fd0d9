from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.machines.namespaces import Network, why_not


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """The network of this session. Tests are skipped, with the reason, where namespaces are not allowed."""
    if (why := why_not()) is not None:
        pytest.skip(why)
    with Network() as network:
        yield network
