"""What a process of Covey changes when it starts."""

from __future__ import annotations

import subprocess
import sys

_HIDDEN = """
import importlib.util
from base.start_up import hide_pandas
hide_pandas()
importlib.util.find_spec("pandas")
try:
    import pandas
except ModuleNotFoundError:
    import json, pyarrow
    print(pyarrow.array([1, 2]).to_pylist())
"""


_ROLES = """
import sys
import deployment.local.roles, deployment.local.superlink, deployment.local.simulated_fleet, edge_client.serving, edge_client.flower_app
import deployment.scheduler.coordinator, deployment.inspect.releases, deployment.inspect.status
print([one for one in ("numba", "scipy", "torch", "matplotlib") if one in sys.modules])
"""


def test_no_role_imports_numba_before_it_computes() -> None:
    said = subprocess.run([sys.executable, "-c", _ROLES], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[]"


def test_pandas_cannot_be_imported_and_a_search_for_it_raises_nothing() -> None:
    said = subprocess.run([sys.executable, "-c", _HIDDEN], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[1, 2]"
