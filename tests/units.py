"""How `make test` distributes the tests over its workers.

A file is a unit of work, so one worker makes each module fixture, once. Files that must not run at the same time, or that share
an expensive fixture, form one unit. The longest units start first, because a long unit that starts last delays the end. Flower's
and Ray's processes often wait for each other, so two units of them run at the same time.
"""

from __future__ import annotations

from typing import Any, Final

from xdist.scheduler import LoadScopeScheduling

_TOGETHER: Final = {
    "a simulated fleet": [
        "covey/test_demo.py",
        "attacks/test_exact_count.py",
        "attacks/test_files_of_others.py",
        "attacks/test_run_ports.py",
        "deployment/test_he_wire.py",
        "deployment/test_site_wire.py",
        "deployment/test_wire.py",
    ],
    "a SuperLink and its sites": [
        "attacks/test_budget_spent_twice.py",
        "attacks/test_live_secret.py",
        "attacks/test_node_authentication.py",
        "attacks/test_rolled_back_together.py",
        "attacks/test_sites_run_no_foreign_code.py",
        "attacks/test_superlink_doors.py",
        "deployment/test_collect.py",
        "deployment/test_days.py",
        "deployment/test_deployment.py",
        "deployment/test_evolving_views.py",
        "deployment/test_monitors.py",
        "deployment/test_released_times.py",
        "deployment/test_up.py",
    ],
    "machines of four operators": [
        "machines/test_bad_peers.py",
        "machines/test_collections.py",
        "machines/test_network.py",
        "machines/test_pages.py",
        "machines/test_versions.py",
    ],
    "three processes of CrypTen": [
        "aggregator/test_mpc_finish.py",
        "aggregator/test_mpc_services.py",
        "covey/test_mpc.py",
        "deployment/test_mpc_runs.py",
        "deployment/test_mpc_wire.py",
    ],
    "a fleet of the lab": [
        "simulations/attacks/lies/test_lie.py",
        "simulations/test_lab_levels.py",
        "simulations/test_lab_levels_long.py",
    ],
    "Feast, which takes seconds to import": [
        "covey/test_feast.py",
        "covey/test_serve.py",
        "featurestore/server/test_feast_wire.py",
        "featurestore/server/test_guard.py",
    ],
    "a model that is trained once": ["training/test_predict.py", "attacks/test_somebodys_store.py"],
}
_LONG: Final = [
    "test_docs.py",
    "deployment/test_tls.py",
    "deployment/test_key_rotation.py",
    "simulations/test_lab_run.py",
    "covey/test_run.py",
    "covey/test_reads.py",
    "covey/test_cli.py",
    "covey/test_serve_guards.py",
    "aggregator/test_crashes.py",
    "aggregator/test_rollback.py",
    "aggregator/test_he_rollback.py",
    "audit/test_audit.py",
    "audit/test_attempts.py",
    "covey/test_ray.py",
    "simulations/test_lab_run_ray.py",
    "simulations/test_tasks.py",
    "simulations/test_lab_run_config.py",
    "simulations/reports/test_paper.py",
    "simulations/reports/test_comparison.py",
    "deployment/test_encrypted_runs.py",
    "deployment/test_hours.py",
    "test_laplace_view.py",
    "test_noise_error.py",
]
"""Units of one file that start among the first."""
FILES: Final = [f"tests/{file}" for files in (*_TOGETHER.values(), _LONG) for file in files]
_UNIT_OF: Final = {f"tests/{file}": unit for unit, files in _TOGETHER.items() for file in files}
_BROWSER: Final = "tests/covey/console/browser/"
"""A folder whose tests share one browser and one server."""
_RANKS: Final = {unit: rank for rank, unit in enumerate([*_TOGETHER, _BROWSER, *(f"tests/{file}" for file in _LONG)])}


def unit_of(test: str) -> str:
    """The unit of a test, by its node ID."""
    file = test.partition("::")[0]
    return _BROWSER if file.startswith(_BROWSER) else _UNIT_OF.get(file, file)


def rank_of(test: str) -> int:
    """The position of a test's unit in the order. Units that are in no list come last."""
    return _RANKS.get(unit_of(test), len(_RANKS))


class Units(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each worker one unit after the other, in the order in which the tests are collected."""

    def __init__(self, config: Any, log: Any) -> None:
        config.option.loadscopereorder = False  # it would order by the number of tests, not by their time
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
