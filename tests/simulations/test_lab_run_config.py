"""The settings of `covey lab run`: every choice composes, unknown ones are named, and sweeps unfold in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("hydra", reason="hydra-core is not installed")

from deployment.errors import ItemMissing, RunRefused, UsageError
from federation.terms import Noise
from simulations.attacks.lies.kinds import KINDS
from simulations.attacks.texts import TEXTS
from simulations.datasets.flights import load_flights
from simulations.errors import FleetImpossible
from simulations.experiments.config import Composer, choices, composer
from simulations.experiments.experiment import prepare, workers_of
from simulations.experiments.schema import GROUPS, AttackSetting, FlightsFleet, GeneratedFleet, LieSetting, RayLauncher
from simulations.experiments.sweep import SweepBlock, load, plan
from simulations.experiments.views import AIRPORTS, views_of
from simulations.levels.collect import Collection
from simulations.shards.workers import Inline
from tests.covey.conftest import VIEWS

NEEDS_PATH = {
    "fleet=file": ("fleet.path=x.csv",),
    "arrivals=trace": ("arrivals.path=x.csv",),
    "view=file": ("view.path=x.py",),
}


@pytest.fixture(scope="module")
def of() -> Iterator[Composer]:
    with composer() as made:
        yield made


@pytest.mark.parametrize("choice", [f"{group}={name}" for group in GROUPS for name in choices(group)])
def test_every_choice_composes_and_has_a_line(of: Composer, choice: str) -> None:
    resolved = of.compose([choice, *NEEDS_PATH.get(choice, ())])
    assert resolved.tree.keys() >= {"fleet", "view", "attack", "arrivals", "level", "noise", "seed"}
    group, name = choice.split("=")
    assert len(choices(group)[name]) > 10


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_can_be_run(of: Composer, experiment: str, tmp_path: Path) -> None:
    name = "arrivals" if experiment == "lies" else "dest_delay"
    assert prepare(of.compose([f"experiment={experiment}"]), tmp_path).views[0].name == name


@pytest.mark.parametrize("name", choices("sweep"))
def test_every_sweep_can_be_run(of: Composer, name: str, tmp_path: Path) -> None:
    planned = plan(of, load(name), [])
    assert len(planned) > 3
    assert len({tuple(one.swept.items()) for one in planned}) == len(planned)
    prepare(planned[0].resolved, tmp_path)
    prepare(planned[-1].resolved, tmp_path)


def test_attacks_are_those_of_the_lab_in_its_words(of: Composer) -> None:
    attacks = {name: text.what for name, text in TEXTS.items()}
    lies = {name: f"lie: a client {what}" for name, what in KINDS.items()}
    assert choices("attack") == {"none": "no attack: a collection", **attacks, **lies}
    for name in KINDS:
        assert of.compose([f"attack={name}"]).config.attack == LieSetting(name=name)
    for name in TEXTS:
        assert of.compose([f"attack={name}"]).config.attack == AttackSetting(name=name, seed=0)


def test_overrides_reach_the_fields_that_they_name(of: Composer, tmp_path: Path) -> None:
    asked = [
        "fleet=10k",
        "fleet.days=2",
        "view.rho=0.05",
        "view.k=20",
        "view.max_cells=2",
        "noise=off",
        "k=7",
        "seed=3",
    ]
    experiment = prepare(of.compose(asked), tmp_path)
    (view,) = experiment.views
    collection = experiment.what
    assert isinstance(collection, Collection)
    assert (view.privacy.micro_rho, view.privacy.min_clients, view.bounds.max_cells) == (50_000, 20, 2)
    assert (collection.source.clients, collection.source.days[1] - collection.source.days[0]) == (10_000, 2)
    assert (collection.terms.min_clients, collection.noise, collection.noise_seed) == (7, Noise.NONE, 3)
    assert of.compose(["hydra/launcher=ray", "hydra.launcher.address=auto"]).ray == RayLauncher("auto")
    assert of.compose(["attack=sybil", "attack.trials=50", "seed=9"]).config.attack.seed == 9


def test_an_epsilon_takes_the_place_of_the_views_rho(of: Composer) -> None:
    (view,) = views_of(of.compose(["view.epsilon=1"]).config.view)
    assert view.privacy.epsilon == 1
    assert 0 < view.privacy.micro_rho < 100_000


def test_of_two_values_the_later_counts(of: Composer) -> None:
    assert of.compose(["k=1", "fleet=1k", "k=2", "fleet=10k"]).config.k == 2
    assert of.compose(["fleet=1k", "fleet=10k"]).config.fleet.clients == 10_000
    assert isinstance(of.compose(["fleet=flights"]).config.fleet, FlightsFleet)
    assert isinstance(of.compose(["experiment=month"]).config.fleet, GeneratedFleet)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ("fleet=10q", "no such fleet; did you mean 10"),
        ("view=dest_dlay", "did you mean dest_delay?"),
        ("attack=membershp", "did you mean membership?"),
        ("attack=_attack", "no such attack"),
        ("flet=1k", "did you mean fleet?"),
        ("fleet.cleints=5", "did you mean fleet.clients?"),
        ("fleet=flights fleet.clients=5", "fleet.first_day, fleet.days"),
        ("levle=memory", "did you mean level?"),
        ("hydra.run.dir=x", "no such setting"),
        ("hydra/launcher=joblib", "There are ray"),
        ("=3", "no such setting"),
        ("report=3", "no such setting; did you mean report_per?"),
        ("fleet.clients=abc", "fleet.clients=abc: it must be a whole number"),
        ("k=1.5", "k=1.5: it must be a whole number"),
        ("k=true", "k=True: it must be a whole number"),
        ("view.rho=x", "view.rho=x: it must be a number"),
        ("seed=null", "seed=null: it must have a value"),
        ("fleet=null", "no such fleet"),
        ("noise=offf", "noise=offf: it must be on or off"),
        ("view.mechanism=gauss", "view.mechanism=gauss: it must be gaussian or laplace"),
        ("+k=3", "settings are set, not added"),
        ("~k", "settings are set, not added"),
        ("k", "'k' is no override"),
        ("fleet=file", "fleet.path is missing"),
        ("arrivals=trace", "arrivals.path is missing"),
        ("k=${nothing}", "k: Interpolation key 'nothing' not found"),
    ],
)
def test_what_does_not_exist_or_fit_is_named_with_the_nearest(of: Composer, overrides: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        of.compose(overrides.split())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "error", "words"),
    [
        (
            "fleet.clients=60 fleet.clients_per_site=5 view.k=61",
            RunRefused,
            "fewer than 61 clients, and the fleet has 60",
        ),
        ("fleet.clients=30", FleetImpossible, "clients_per_site 50"),
        ("fleet.churn=2", FleetImpossible, "churn 2"),
        ("k=0", UsageError, "k=0: it must be at least 1"),
        ("k=49", RunRefused, "k=49 is below"),
        ("seed=-1", UsageError, "seed=-1"),
        ("deadline_s=nan", UsageError, "deadline_s"),
        ("view.path=x.py", UsageError, "view=views.py:name"),
        ("view=file", UsageError, "view=file needs view.path"),
        ("fleet=flights fleet.first_day=1", UsageError, "there are no flights on those days"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(
    of: Composer, tmp_path: Path, overrides: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        prepare(of.compose(overrides.split()), tmp_path)
    assert words in str(caught.value)


def test_a_views_file_is_short_for_three_overrides(
    of: Composer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it's my views.py").write_text(VIEWS)
    monkeypatch.chdir(tmp_path)
    both = of.compose([r"view='it\'s my views.py'"])
    one = of.compose([r"view='it\'s my views.py:everywhere'"])
    assert [view.name for view in views_of(both.config.view)] == ["visits", "everywhere"]
    assert [view.name for view in views_of(one.config.view)] == ["everywhere"]
    monkeypatch.chdir("/")  # the composed settings do not depend on the folder
    assert of.compose(one.overrides) == one
    with pytest.raises(UsageError, match="it has visits, everywhere"):
        views_of(of.compose([f"view='{tmp_path}/it\\'s my views.py:nothing'"]).config.view)


def test_the_airports_are_where_the_flights_arrive() -> None:
    assert set(load_flights()["dest"].unique().to_pylist()) == set(AIRPORTS.split())


def swept(of: Composer, block: SweepBlock, *asked: str) -> list[str]:
    return [" ".join(f"{name}={value}" for name, value in one.swept.items()) for one in plan(of, block, asked)]


def test_a_flat_sweep_is_a_nested_loop_whose_last_value_varies_fastest(of: Composer) -> None:
    assert swept(of, SweepBlock(()), "k=60,70", "seed=range(0,3)", "fleet=1k") == [
        f"k={k} seed={seed}" for k in (60, 70) for seed in range(3)
    ]
    assert swept(of, SweepBlock(()), "attack=glob(sybil*)") == ["attack=sybil", "attack=sybil-enrolled"]
    assert swept(of, SweepBlock(()), "attack=glob(*)")[0] == "attack=attribute"
    assert swept(of, SweepBlock(()), "fleet=file", "fleet.path=x.csv", "fleet.client_column=_id,client") == [
        *("fleet.client_column=_id", "fleet.client_column=client")
    ]


def test_blocks_sweep_within_the_block_around_them(of: Composer) -> None:
    tree = SweepBlock(
        ("fleet=1k,10k",), (SweepBlock(("view.rho=0.1,0.2",)), SweepBlock(("noise=off",), (SweepBlock(("seed=1,2",)),)))
    )
    assert swept(of, tree) == [
        f"fleet={fleet} {inner}"
        for fleet in ("1k", "10k")
        for inner in ("view.rho=0.1", "view.rho=0.2", "noise=off seed=1", "noise=off seed=2")
    ]
    assert swept(of, tree, "view.rho=0.3", "noise=on") == [  # explicit settings win, and nothing runs twice
        *("fleet=1k", "fleet=1k seed=1", "fleet=1k seed=2", "fleet=10k", "fleet=10k seed=1", "fleet=10k seed=2")
    ]


def test_a_sweep_without_end_is_refused(of: Composer) -> None:
    with pytest.raises(UsageError, match="more than 10,000 runs"):
        of.expand(["seed=range(0,200)", "k=range(1,200)"])
    wide = "seed=range(0,9000)"
    with pytest.raises(UsageError, match="more than 10,000 runs"):
        plan(of, SweepBlock((wide,), (SweepBlock((wide,), (SweepBlock((wide,)),)),)), [])


def test_an_experiment_is_taken_back_and_another_view_takes_the_place_of_a_file(of: Composer) -> None:
    assert of.compose(["experiment=exact", "experiment=null"]).config.noise == "on"
    named = of.compose(["view=views.py:visits", "view=area_delay"]).config.view
    assert (named.source, named.path, named.name) == ("area_delay", None, None)


@pytest.mark.parametrize("text", ["view.rho=0.1", "fleet=10k", "k=3", "protection=he", "arrivals.before=0.1"])
def test_a_setting_that_changes_nothing_of_an_attack_is_refused(of: Composer, tmp_path: Path, text: str) -> None:
    with pytest.raises(
        UsageError, match=re.escape(f"{text} does not change an attack. An attack has the settings attack.clients")
    ):
        prepare(of.compose(["attack=membership", text]), tmp_path)
    prepare(of.compose(["attack=membership", "attack.rho=0.2", "seed=3", "hydra/launcher=ray"]), tmp_path)


def test_only_functions_take_the_seed_of_the_noise(of: Composer, tmp_path: Path) -> None:
    seeds = {}
    for level in ("memory", "processes", "flower"):
        collection = prepare(of.compose([f"level={level}", "seed=3"]), tmp_path).what
        assert isinstance(collection, Collection)
        seeds[level] = collection.noise_seed
    assert seeds == {"memory": 3, "processes": None, "flower": None}


def test_a_deadline_of_nothing_is_refused(of: Composer, tmp_path: Path) -> None:
    for text in ("0", "-1", "inf", "nan"):
        with pytest.raises(UsageError, match=r"^deadline_s=.*must be above 0"):
            prepare(of.compose([f"deadline_s={text}"]), tmp_path)


def test_an_attack_has_no_shards_and_starts_no_cluster(of: Composer, tmp_path: Path) -> None:
    asked = of.compose(["attack=membership", "hydra/launcher=ray"])
    assert isinstance(workers_of(prepare(asked, tmp_path), None), Inline)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("overrides: k=1", "overrides is a list of texts"),
        ("overides: [k=1]", "got overides"),
        ("[1, 2]", "got [1, 2]"),
        ("runs: {a: 1}", "runs is a list of blocks"),
        ("runs: [{runs: [3]}]", "runs[0], runs[0]"),
        ("overrides: [3]", "overrides is a list of texts"),
        ("{name: 3, overrides: []}", "name is a text"),
        ("a: [", "is no sweep"),
        ("&a {runs: [*a]}", "more than 1,000 blocks, or blocks nested deeper than 16"),
        ("a: &a [{overrides: []}]", "got a"),
        ("{runs: [" + "{overrides: []}," * 1_000 + "]}", "more than 1,000 blocks"),
        ("!!python/object/apply:os.getcwd []", "is no sweep"),
    ],
)
def test_a_sweep_file_is_parsed_strictly(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load(str(path))
    assert words in str(caught.value)


def test_a_sweep_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(ItemMissing, match="did you mean utility"):
        load("utilty")
