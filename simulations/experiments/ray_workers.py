"""Run shards as Ray tasks, on this machine or on a cluster where covey is installed. Results equal those of one process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final, TypeVar

from deployment.errors import UsageError
from simulations.errors import WorkerDied
from simulations.shards.workers import AHEAD, in_order, result_or_error, result_or_raise

_ENVIRONMENT: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Turn off Ray's usage reports, and its warning about devices that shards do not use."""

T = TypeVar("T")
R = TypeVar("R")


class RayWorkers:
    """A Ray cluster.

    Args:
        count: number of parallel tasks; None: the number of CPUs of the cluster.
        address: address of a running cluster; None: start one on this machine; `close` stops it.

    Raises:
        UsageError: Ray is not installed, or no cluster answers at `address`.
    """

    def __init__(self, count: int | None = None, address: str | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise UsageError("hydra/launcher=ray needs Ray: pip install 'covey[ray]'") from None
        self._ray: Any = ray
        self._started = not ray.is_initialized()
        if self._started:
            self._start(count, address)
        self.count = count or max(1, int(ray.cluster_resources().get("CPU", 1)))

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Map as `Workers.map` does. Raises WorkerDied: the process of a task ended, probably because memory ran out."""
        remote = self._ray.remote(max_retries=0)(result_or_error)
        yield from in_order(partial(remote.remote, function), self._result, tasks, AHEAD * self.count)

    def close(self) -> None:
        """Stop the cluster if this object started it."""
        if self._started:
            self._ray.shutdown()

    def _start(self, count: int | None, address: str | None) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        common = {"log_to_driver": False, "logging_level": "ERROR"}
        local = {"num_cpus": count, "include_dashboard": False, **common}
        try:
            if address is None:
                self._ray.init(address="local", **local)
            else:
                self._ray.init(address=address, **common)
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = "on this machine" if address is None else f"at {address}"
            raise UsageError(f"Ray does not run {where}: {' '.join(str(error).split())[:300]}") from None

    def _result(self, reference: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return result_or_raise(self._ray.get(reference))
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError):
            raise WorkerDied(self.count) from None
