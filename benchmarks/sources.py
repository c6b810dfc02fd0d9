"""How fast a site's events come in from each kind of source, and what that costs.

    python -m benchmarks.sources [PART …]

Without a part, all of them run. Each prints its table; the last line is one JSON object with all figures. `peak_mb` is the peak
memory of this process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from benchmarks.sources_files import file_figures
from benchmarks.sources_freshness import freshness_figures
from benchmarks.sources_kafka import kafka_figures
from benchmarks.sources_log import log_figures
from simulations.measuring import peak_bytes, print_figures

PARTS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "log": log_figures,
    "files": file_figures,
    "kafka": kafka_figures,
    "freshness": freshness_figures,
}
"""By name: measures, prints a table, and returns the figures."""


def main(arguments: list[str]) -> None:
    """Run the parts."""
    unknown = set(arguments) - set(PARTS)
    if unknown:
        raise SystemExit(f"there is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    figures: dict[str, Any] = {}
    for name in arguments or PARTS:
        figures |= PARTS[name]()
    print_figures({**figures, "peak_mb": round(peak_bytes() / 1e6)})


if __name__ == "__main__":
    main(sys.argv[1:])
