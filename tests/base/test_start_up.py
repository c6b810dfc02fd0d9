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


def test_pandas_cannot_be_imported_and_a_search_for_it_raises_nothing() -> None:
    said = subprocess.run([sys.executable, "-c", _HIDDEN], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "[1, 2]"
