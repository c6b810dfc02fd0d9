from __future__ import annotations

from pathlib import Path

from tests.aggregator.world import Site, add_sums, make_plan, require_exact, running, signed, view


def test_two_services_open_the_exact_sums_without_noise(tmp_path: Path) -> None:
    plan = make_plan(view("v", 3), view("w", 2), panes=3)
    a, b = Site(plan, "a"), Site(plan, "b")
    with running(tmp_path) as world:
        assert world.client.open_plan(signed(plan)) == plan.hash
        for site, collections in ((a, [0, 0, 1, 2, 2]), (b, [2, 1, 1]), (a, [3, 3, 5]), (b, [5, 5, 4])):
            submitted = world.client.submit(site.batch(collections).to_bytes())
            assert not submitted.pending
            assert submitted.verdicts == bytes(len(collections))
        opened = world.collect(plan)
    assert [result.outcomes.tolist() for result in opened] == [[0, 0, 0], [0, 1, 0]]
    require_exact(plan, opened, add_sums(a, b))
