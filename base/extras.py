"""The optional extras of the installation: what roles import beyond the libraries of a site and of reading.

Only names stand here, and nothing is imported: a check must be as light as the role that it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from .errors import ExtraMissing

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "coordinator": ("dp_accounting", "numba", "scipy", "uvicorn"),
    "aggregator": ("dp_accounting", "numba"),
    "proofs": ("numba",),
    "server": ("fastapi", "httptools", "numba", "orjson", "starlette", "uvicorn", "uvloop"),
    "console": ("fastapi", "httptools", "libcst", "numba", "orjson", "starlette", "uvicorn", "uvloop"),
    "he": ("tenseal", "zstandard"),
    "redis": ("redis",),
    "train": ("numba", "torch", "sklearn", "lightning", "torchdata"),
    "onnx": ("onnxruntime",),
    "ray": ("ray",),
    "trace": ("opentelemetry",),
    "lab": ("hydra", "jinja2", "matplotlib", "scipy", "yaml"),
    "kafka": ("confluent_kafka",),
    "mqtt": ("paho",),
    "sql": ("adbc_driver_manager", "adbc_driver_postgresql", "adbc_driver_sqlite"),
    "units": ("pint",),
}
"""The modules that each extra of `pyproject.toml` is for. A module is looked up in the first extra that has it."""

COMPILED: Final = find_spec("numba") is not None
"""Whether kernels can be called; see `compiled`, which takes half a second to import."""


def require_extra(extra: str, user: str) -> None:
    """Return if the modules of an extra are installed. Raises ExtraMissing.

    Args:
        user: what needs the extra, with an article: the subject of the error.
    """
    for module in EXTRAS[extra]:
        if find_spec(module) is None:
            raise ExtraMissing(user, module, extra)


def named_missing(error: Exception, user: str) -> Exception:
    """ExtraMissing instead of the error of an import, if an extra brings the missing module; else the same error."""
    if not isinstance(error, ModuleNotFoundError):
        return error
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    return error if extra is None else ExtraMissing(user, module, extra)
