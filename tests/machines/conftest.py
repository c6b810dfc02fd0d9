from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from tests.machines.flights import exact_values
from tests.machines.namespaces import Network, why_not
from tests.machines.operators import Operators, operators


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """The network of this session. Tests are skipped, with the reason, where namespaces are not allowed."""
    if (why := why_not()) is not None:
        pytest.skip(why)
    with Network() as network:
        yield network


@pytest.fixture(scope="session")
def deployed(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    """One deployment for all tests: it takes half a minute. Each test collects days of its own, in order."""
    with operators(network, tmp_path_factory.mktemp("operators")) as deployed:
        yield deployed


@pytest.fixture(scope="session")
def exact(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The values of a run in one process, by pane and key."""
    return exact_values(tmp_path_factory.mktemp("exact"))
