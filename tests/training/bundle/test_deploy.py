from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from deployment.errors import CodeUntrusted  # noqa: E402
from featurestore.define.release import RETRACTED  # noqa: E402
from featurestore.errors import StoreNotFound, UnknownFeature  # noqa: E402
from featurestore.publish.model_versions import delete_models, promote, roll_back  # noqa: E402
from featurestore.publish.publish import Publisher  # noqa: E402
from featurestore.publish.verify import check_store  # noqa: E402
from featurestore.registry.serving_versions import Newest, Weights  # noqa: E402
from featurestore.store import Store  # noqa: E402
from tests.featurestore.making import DAY, a_release, a_void  # noqa: E402
from tests.training.program import DAYS, make_labels, make_store, traffic, write_config  # noqa: E402
from training.bundle import promote as promote_module  # noqa: E402
from training.bundle import register as register_module  # noqa: E402
from training.bundle import train_step as train_module  # noqa: E402
from training.bundle.comparison import Decision  # noqa: E402
from training.bundle.deploy import StepOutcome, Watch, deploy, planned  # noqa: E402
from training.bundle.lock import deploying  # noqa: E402
from training.bundle.serve import ServeStep  # noqa: E402
from training.bundle.step import LeftOut, Run, Skip  # noqa: E402
from training.errors import BundleRecordBroken  # noqa: E402
from training.fit.config import TrainConfig  # noqa: E402
from training.fit.train import train  # noqa: E402

Covey = Callable[..., tuple[int, str, str]]
QUICK = {"kind": "linear", "epochs": 3, "batch_size": 1024, "learning_rate": 0.05}
WORSE = {**QUICK, "epochs": 1, "learning_rate": 1e-6}


@pytest.fixture(autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def deployed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("deployed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        make_labels(directory, make_store(directory))
        deploy(load(directory), Watch(), trust=False)
    return directory


@pytest.fixture
def project(deployed_once: Path, tmp_path: Path) -> Path:
    """A copy of a project whose bundle is deployed, with late@v1 in force."""
    shutil.copytree(deployed_once, tmp_path / "p")
    return tmp_path / "p"


@pytest.fixture
def fresh(deployed_once: Path, tmp_path: Path) -> Path:
    """The same project before its first deployment."""
    shutil.copytree(deployed_once, tmp_path / "p")
    delete_models(tmp_path / "p", "late", lambda: 0)
    shutil.rmtree(tmp_path / "p" / "store" / "bundles")
    return tmp_path / "p"


def load(directory: Path, **sections: dict[str, Any]) -> TrainConfig:
    return TrainConfig.load(write_config(directory, **{"model": QUICK, **sections}))


def run(directory: Path, **sections: dict[str, Any]) -> dict[str, str]:
    """Deploy; returns run, skip or left out for each step."""
    return words(deploy(load(directory, **sections), Watch(), trust=False))


def words(outcomes: Any) -> dict[str, str]:
    def word(one: StepOutcome) -> str:
        match one.verdict:
            case Run():
                return "run"
            case Skip():
                return "skip"
            case LeftOut():
                return "left out"

    return {one.name: word(one) for one in outcomes}


def steps(train: str, register: str, promote: str) -> dict[str, str]:
    return {"collect": "left out", "train": train, "register": register, "promote": promote, "serve": "left out"}


def in_force(directory: Path) -> str:
    with Store.open(directory) as store:
        return str(store.in_force("late"))


def versions(directory: Path) -> list[str]:
    with Store.open(directory) as store:
        return [str(one) for one in store.models()]


def fewer_labels(directory: Path, rows: int = 2500) -> None:
    table = pq.read_table(directory / "labels.parquet")
    pq.write_table(table.slice(len(table) - rows), directory / "labels.parquet")


NOTHING, ALL = steps("skip", "skip", "skip"), steps("run", "run", "run")
AFTER_TRAINING, AFTER_REGISTRATION = steps("skip", "run", "run"), steps("skip", "skip", "run")


def test_the_first_run_does_everything_and_the_second_nothing(fresh: Path) -> None:
    assert run(fresh) == ALL
    assert versions(fresh) == ["late@v2"]  # v1 was deleted, and its number is not given again
    record = (fresh / "store" / "bundles" / "late.json").read_bytes()
    assert run(fresh) == NOTHING
    assert versions(fresh) == ["late@v2"]
    assert (fresh / "store" / "bundles" / "late.json").read_bytes() == record
    assert not (fresh / "store" / "bundles" / "late.trained").exists()
    assert not check_store(fresh).damaged
    with Store.open(fresh) as store:
        assert store.model_history("late").serving == Weights.single("late", 2)


def test_what_is_registered_is_what_covey_train_registers(project: Path) -> None:
    trained = train(load(project))
    with Store.open(project) as store:
        first = store.model("late@v1")
    own = {name: sha for name, sha in first.files.items() if name not in ("lineage.json", "model.pt2")}
    assert own == {name: sha for name, sha in trained.model.files.items() if name in own}
    assert set(first.files) == set(trained.model.files)
    assert first.lineage.keys() == trained.model.lineage.keys()


def test_a_changed_label_file_redoes_what_depends_on_it_and_the_reason_has_the_number_of_rows(project: Path) -> None:
    fewer_labels(project)
    (_, training, *_) = planned(load(project), trust=False)
    assert training.verdict == Run("changed: labels, rows of the labels (3,000 → 2,500)")
    assert words(planned(load(project), trust=False)) == ALL
    assert versions(project) == ["late@v1"]
    assert run(project) == ALL
    assert versions(project) == ["late@v1", "late@v2"]
    assert run(project) == NOTHING


@pytest.mark.parametrize(
    ("sections", "due"),
    [
        ({"model": {**QUICK, "seed": 1}}, True),
        ({"labels": {"columns": ["distance", "delay"]}}, True),
        ({"features": {"mask": False}}, True),
        ({"split": {"test_from": "1970-02-01"}}, True),
        ({"serve": {}}, False),
        ({"promote": {"rule": "not-worse"}}, False),
    ],
)
def test_training_depends_on_its_own_sections_only(project: Path, sections: dict[str, Any], due: bool) -> None:
    config = load(project, **sections)
    (_, training, *_) = planned(config, trust=False)
    assert isinstance(training.verdict, Run) == due


def test_a_comment_changes_nothing_and_another_rule_decides_again(project: Path) -> None:
    path = write_config(project, model=QUICK)
    path.write_text(f"# a comment\n{path.read_text()}")
    assert words(planned(TrainConfig.load(path), trust=False)) == NOTHING
    assert run(project, promote={"rule": "better"}) == steps("skip", "skip", "run")


def test_a_release_counts_if_a_label_can_see_it(project: Path) -> None:
    with Publisher(project, lambda: 100 * DAY) as publisher:
        publisher.publish([a_release(traffic(), (DAYS + 2) * DAY)])
        publisher.publish([replace(a_void(traffic(), 3 * DAY, RETRACTED), released_at=100 * DAY)])
    assert words(planned(load(project), trust=False)) == NOTHING
    table = pq.read_table(project / "labels.parquet")
    later = pa.array(table["at"].cast(pa.int64()).to_numpy() + 4 * DAY, table["at"].type)
    pq.write_table(table.set_column(table.column_names.index("at"), "at", later), project / "labels.parquet")
    (_, training, *_) = planned(load(project), trust=False)
    assert training.verdict == Run("changed: labels, releases")


def test_a_version_that_was_deleted_is_trained_again(project: Path) -> None:
    fewer_labels(project)
    run(project)
    promote(project, "late", Weights.single("late", 1), lambda: 0)
    delete_models(project, "late@v2", lambda: 0)
    assert run(project) == ALL
    assert versions(project) == ["late@v1", "late@v3"]


def test_what_a_person_rolls_back_stays(project: Path) -> None:
    fewer_labels(project)
    run(project)
    assert in_force(project) == "v2"
    roll_back(project, "late", lambda: 0)
    assert run(project) == NOTHING
    assert in_force(project) == "v1"


def test_a_version_that_gets_some_requests_is_compared_with_the_one_that_gets_the_others(project: Path) -> None:
    fewer_labels(project)
    run(project)
    promote(project, "late", Weights.of("late", {1: 0.1, 2: 0.9}), lambda: 0)
    assert run(project) == NOTHING
    assert in_force(project) == "v1=0.1 v2=0.9"
    said = deploy(load(project, promote={"metric": "logloss"}), Watch(), trust=False)[3].said
    assert said is not None
    assert said.startswith("late v1=0.1 v2=0.9 stays in force. late@v2: logloss 0.")
    assert said.endswith("the whole interval is on the worse side")
    said = deploy(load(project, promote={"metric": "auc"}), Watch(), trust=False)[3].said
    assert said is not None
    assert said.startswith("late@v2 replaces late@v1: auc 0.")
    assert in_force(project) == "v2"


@pytest.mark.parametrize("promotes", [True, False])
def test_what_a_person_promotes_during_the_comparison_is_compared_next(
    project: Path, monkeypatch: pytest.MonkeyPatch, promotes: bool
) -> None:
    fewer_labels(project)
    run(project)
    compared: list[str] = []

    def comparing(config: TrainConfig, new: Any, running: Any, *, trust: bool) -> Any:
        compared.append(f"{new} {running}")
        if len(compared) == 1:
            promote(project, "late", Weights.single("late", 1), lambda: 0)
        return real(config, new, running, trust=trust)

    real = promote_module.compare
    monkeypatch.setattr(promote_module, "compare", comparing)
    monkeypatch.setattr(promote_module, "decide", lambda *_: Decision(promotes, "as the test says"))
    fewer_labels(project, 2400)
    assert run(project) == ALL
    assert compared == ["late@v3 late@v2", "late@v3 late@v1"]
    assert in_force(project) == ("v3" if promotes else "v1")


def test_a_worse_version_is_registered_and_not_promoted(project: Path) -> None:
    """The name serves its newest version when the training begins, so the registration alone would put it in force."""
    promote(project, "late", Newest(), lambda: 0)
    said = deploy(load(project, model=WORSE), Watch(), trust=False)[3].said
    assert said is not None
    assert said.startswith("late@v1 stays in force. late@v2: auc 0.")
    assert "worse (95% interval -0." in said
    assert said.endswith("; the whole interval is on the worse side")
    assert in_force(project) == "v1"
    assert run(project, model=WORSE) == NOTHING


def test_the_same_model_again_is_not_worse_and_not_better(project: Path) -> None:
    same = {**QUICK, "reference": True}  # another setting, and the same weights
    said = deploy(load(project, model=same, promote={"rule": "better"}), Watch(), trust=False)[3].said
    assert said is not None
    assert said.startswith("late@v1 stays in force")
    assert '0.0000 better (95% interval +0.0000 to +0.0000); rule = "better", and the difference can be chance' in said
    assert run(project, model=same) == steps("skip", "skip", "run")
    assert in_force(project) == "v2"


def test_a_running_version_that_does_not_serve_any_more_is_replaced(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(project) as store:
        old = store.model("late")
        lineage = {**old.lineage, "views": [{**old.lineage["views"][0], "definition_hash": "0" * 64}]}
        files = {name: old.read(name) for name in old.files}
    with Publisher(project, lambda: 0) as publisher:
        outdated = publisher.register_model("late", files, json.dumps(lineage))
    promote(project, "late", Weights.single("late", outdated.version), lambda: 0)
    said = deploy(load(project, model=WORSE), Watch(), trust=False)[3].said
    assert said is not None
    assert said.startswith("late@v3 replaces late@v2: late@v2 cannot be tested on these rows: model late@v2: view")
    assert in_force(project) == "v3"


def test_a_running_version_whose_columns_the_labels_lack_stays(project: Path) -> None:
    table = pq.read_table(project / "labels.parquet")
    pq.write_table(table.drop_columns(["distance"]), project / "labels.parquet")
    said = deploy(load(project, labels={"columns": None}), Watch(), trust=False)[3].said
    assert said is not None
    assert said.startswith(
        "late@v1 stays in force. late@v2: late@v1 cannot be tested on these rows: the labels need one"
    )
    assert in_force(project) == "v1"


class TestCutOff:
    """Ctrl-C at any moment: the next run goes on with what is not done."""

    def cut(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *, after: bool) -> None:
        real = getattr(module, name)

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            if after:
                real(*args, **kwargs)
            raise KeyboardInterrupt

        monkeypatch.setattr(module, name, interrupted)

    @pytest.mark.parametrize(
        ("module", "name", "after", "next_run"),
        [
            (train_module, "fit_and_test", False, ALL),
            pytest.param(train_module, "created_folder", False, ALL, marks=pytest.mark.long),
            pytest.param(register_module, "waiting_files", False, AFTER_TRAINING, marks=pytest.mark.long),
            (register_module.Publisher, "register_model", False, AFTER_TRAINING),
            (register_module.Publisher, "register_model", True, AFTER_TRAINING),
            pytest.param(promote_module, "compare", False, AFTER_REGISTRATION, marks=pytest.mark.long),
            pytest.param(promote_module, "promote_unless_changed", False, AFTER_REGISTRATION, marks=pytest.mark.long),
            (promote_module, "promote_unless_changed", True, AFTER_REGISTRATION),
        ],
    )
    def test_the_next_run_goes_on(
        self,
        project: Path,
        monkeypatch: pytest.MonkeyPatch,
        module: Any,
        name: str,
        after: bool,
        next_run: dict[str, str],
    ) -> None:
        fewer_labels(project)
        with monkeypatch.context() as patch:
            self.cut(patch, module, name, after=after)
            with pytest.raises(KeyboardInterrupt):
                run(project)
        expected = "v2" if (name, after) == ("promote_unless_changed", True) else "v1"
        assert in_force(project) == expected
        assert run(project) == next_run
        assert versions(project) == ["late@v1", "late@v2"]
        assert in_force(project) == "v2"
        assert run(project) == NOTHING


def test_trained_files_that_were_changed_are_not_registered(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fewer_labels(project)
    with monkeypatch.context() as patch:
        patch.setattr(register_module.Publisher, "register_model", lambda *_: pytest.fail("interrupted"))
        with pytest.raises(pytest.fail.Exception):
            run(project)
    waiting = project / "store" / "bundles" / "late.trained" / "model.pt2"
    waiting.write_bytes(waiting.read_bytes() + b"?")
    assert run(project) == ALL
    assert not check_store(project).damaged


def test_a_store_that_moved_is_the_same_store(project: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    project.rename(moved)
    assert run(moved) == NOTHING
    with pytest.raises(StoreNotFound):
        deploy(load(moved, **{"": {"store": "nowhere"}}), Watch(), trust=False)
    assert not (moved / "nowhere").exists()


def test_a_record_that_was_lost_costs_a_training(project: Path) -> None:
    record = project / "store" / "bundles" / "late.json"
    record.write_text("{")
    with pytest.raises(BundleRecordBroken):
        run(project)
    record.unlink()
    assert run(project) == ALL
    assert in_force(project) == "v2"


def test_code_of_a_configuration_runs_only_if_it_is_trusted(project: Path) -> None:
    (project / "views.py").write_text("raise SystemExit(1)")
    config = load(project, features={"refs": ["traffic:flights"], "views": "views.py"})
    for action in (lambda: deploy(config, Watch(), trust=False), lambda: list(planned(config, trust=False))):
        with pytest.raises(CodeUntrusted):
            action()


def test_the_server_depends_on_what_it_reads_when_it_starts_and_on_no_model(project: Path) -> None:
    (project / "views.py").write_text("")
    config = load(project, serve={"port": 7000})
    assert config.serve is not None
    inputs = ServeStep(config, config.serve, trust=False).inputs()
    assert set(inputs) == {"[serve]", "covey.toml", "covey"}
    assert ServeStep(config, config.serve, trust=True).inputs() != inputs
    (project / "covey.toml").write_text("[serving]\nmax_batch = 32\n")
    changed = ServeStep(config, config.serve, trust=False).inputs()
    assert {name for name in inputs if changed[name] != inputs[name]} == {"covey.toml"}
    computed = load(project, serve={"port": 7000}, features={"refs": ["traffic:flights"], "views": "views.py"})
    before = ServeStep(computed, config.serve, trust=True).inputs()
    (project / "views.py").write_text("# other code")
    after = ServeStep(computed, config.serve, trust=True).inputs()
    assert {name for name in before if after[name] != before[name]} == {"on-demand views"}


def test_a_training_that_is_refused_changes_nothing(project: Path) -> None:
    with pytest.raises(UnknownFeature):
        run(project, features={"refs": ["traffic:nothing"]})
    assert run(project) == NOTHING
    assert in_force(project) == "v1"


class TestCommand:
    def test_it_prints_each_step_with_its_reason(self, covey: Covey, fresh: Path) -> None:
        path = write_config(fresh, model=QUICK)
        code, out, err = covey("deploy", path, "--dry-run")
        assert code == 0, err
        assert out.splitlines()[1] == "train     would run (for the first time)"
        code, out, err = covey("deploy", path)
        assert code == 0, err
        assert "train     done (for the first time)\n" in out
        assert "late@v2 is the first version" in out
        assert out.endswith("late: deployed\n")
        code, out, err = covey("deploy", path)
        assert code == 0, err
        assert [line.split()[:2] for line in out.splitlines()] == [
            ["collect", "left"], ["train", "skipped"], ["register", "skipped"], ["promote", "skipped"], ["serve", "left"],
            ["late:", "nothing"],
        ]  # fmt: skip
        code, out, err = covey("deploy", path, "--status")
        assert code == 0, err
        assert "in force  v2=1\nserver    does not run\n" in out

    def test_json(self, covey: Covey, project: Path) -> None:
        path = write_config(project, model=QUICK)
        for options in (["--json"], ["--json", "--dry-run"]):
            code, out, err = covey("deploy", path, *options)
            assert code == 0, err
            told = json.loads(out)
            assert [(one["step"], one["did"]) for one in told["steps"]] == [
                ("collect", "left_out"), ("train", "skip"), ("register", "skip"), ("promote", "skip"),
                ("serve", "left_out"),
            ]  # fmt: skip
            assert told["dry_run"] == (len(options) == 2)
        status = json.loads(covey("deploy", path, "--status", "--json")[1])
        assert status["in_force"] == {"v1": 1.0}
        assert status["server"] is None
        assert set(status["steps"]) == {"train", "register", "promote"}
        assert status["left_out"] == ["collect", "serve"]
        lines = covey("deploy", path, "--status")[1].splitlines()
        assert [line.split()[:2] for line in lines[::4]] == [["collect", "left"], ["serve", "left"]]

    def test_what_cannot_be_is_one_line(self, covey: Covey, project: Path) -> None:
        path = write_config(project, model=QUICK)
        with deploying(project / "store", "late"):
            code, _, err = covey("deploy", path)
            assert code == 1
            assert "deploys model 'late' into this store; wait until it ends" in err
            assert covey("deploy", path, "--dry-run")[0] == 0
        code, _, err = covey("deploy", path, "--stop")
        assert code == 5
        assert "no server of model 'late' runs" in err
        assert covey("deploy", path, "--stop", "--status")[0] == 2
        code, _, err = covey("deploy", write_config(project, promote={"rule": "best"}))
        assert code == 2
        assert "[promote] rule: it must be 'not-worse' or 'better', not 'best'" in err
        code, _, err = covey("deploy", write_config(project, serve={"port": 0}))
        assert code == 2
        assert "[serve] port: it must be at least 1, not 0" in err
