"""Commands and code of the README and of docs/ work as written."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from base.times import wall_clock
from covey.cli import call
from covey.demo.model import late_labels
from deployment.run import run
from featurestore.define.decoded import Status
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.epsilon import rounded_up
from featurestore.define.views_file import load_declared
from featurestore.join.labels import CSV_BLOCK, JOIN_BATCH
from featurestore.join.memory import MINIMUM
from featurestore.publish.publish import Publisher
from featurestore.store import Store
from federation.accountant import epsilon
from federation.refusal_codes import RefusalCode
from simulations.datasets.flights import flight_views, load_flights
from tests.covey.conftest import VIEWS, make_events
from tests.featurestore.making import DAY, a_view, fill
from tests.waiting import wait_until
from training.fit import config as training_config

ROOT = Path(__file__).resolve().parents[1]
PRIVACY = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
VALIDITY = (ROOT / "docs" / "validity.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def flights() -> pa.Table:
    table = load_flights()
    return table.filter(pc.less(table["sched_dep"].cast(pa.int64()), 1_359_676_800 * 10**6))  # January


def test_the_readme_opens_with_two_commands_that_the_makefile_has() -> None:
    block = re.findall(r"```sh\n(.*?)```", README, flags=re.S)[0]
    assert re.findall(r"^make (\w+)", block, flags=re.M) == ["demo", "test"]
    makefile = (ROOT / "Makefile").read_text()
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"):
        for target in re.findall(r"(?:`|^)make (\w+)(?= |`|\n)", page.read_text(encoding="utf-8"), flags=re.M):
            assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_the_quickstarts_commands_and_python_work_as_written(tmp_path: Path, flights: pa.Table) -> None:
    (quick, _), (definitions, reading) = _page("quickstart.md")
    (tmp_path / "views.py").write_text(definitions)
    pq.write_table(flights, tmp_path / "flights.parquet")
    pq.write_table(flights.select(["dest", "sched_dep"]), tmp_path / "labels.parquet")
    commands = [line for line in quick.splitlines() if line]  # the other block belongs to the lab, below
    assert [line.split()[:2] for line in commands] == [
        ["covey", name] for name in ("explain", "run", "get", "history", "join")
    ]
    for line in commands:
        _covey(line, tmp_path)
    assert pq.read_table(tmp_path / "training.parquet").num_rows == flights.num_rows
    script = definitions + reading.replace('store="store"', 'store="fresh"').replace('open("store")', 'open("fresh")')
    (tmp_path / "script.py").write_text(script + "\nassert report.opened == 31\nassert training.num_rows > 20_000\n")
    _run(["script.py"], tmp_path)


def test_every_picture_and_page_that_a_page_links_to_exists() -> None:
    for page in [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")), *PAGES]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), (page, target)


def test_the_documentations_list_has_each_page_once_with_a_sentence() -> None:
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)", text, flags=re.M) == ["Researchers", "Operators", "Trainers", "Contributors"]
    listed = re.findall(r"^- \[([\w-]+\.md)\]\(\1\): \w.+\.$", text, flags=re.M)
    assert sorted([*listed, "README.md"]) == [page.name for page in PAGES]


def test_pages_have_names_in_one_style() -> None:
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page.name != "README.md"]
    assert [page.name for page in pages if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.md", page.name)] == []


def test_the_glossary_has_a_word_of_the_field_or_a_dash_for_each_of_its_words() -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs" / "glossary.md").read_text("utf-8"), flags=re.M
    )
    words = [word for word, _, _ in rows if word not in ("word", "---")]
    assert len(words) == len(set(words))
    assert {
        "report", "batch", "plan", "pane", "cell", "release", "void", "collection", "site", "client", "leader", "helper",
        "key holder", "coordinator", "share", "ciphertext", "view", "entity", "join key", "window", "budget", "ledger",
        "roster", "live secret", "epoch", "block",
    } <= set(words)  # fmt: skip
    fields = re.compile(
        r"^(DAP|VDAF|Feast|Flower|DP|HE|MPC|Arrow|stream processing|X\.509|Prometheus|systemd|OpenTelemetry|Triton): "
    )
    assert [
        elsewhere for word, elsewhere, _ in rows if word in words and elsewhere != "—" and not fields.match(elsewhere)
    ] == []


def test_the_examples_can_be_explained(tmp_path: Path) -> None:
    for example in (ROOT / "examples").glob("*.py"):
        _covey(f"covey explain {shlex.quote(str(example))}", tmp_path)


def test_the_attack_on_the_validity_page_prints_what_the_page_shows(tmp_path: Path) -> None:
    section = VALIDITY.split("## See it\n")[1]
    command = re.search(r"```sh\n(covey lab run \S+ attack=\w+)\n```", section)
    shown = re.search(r"```\n(arrivals: .*?)```", section, flags=re.S)
    assert command is not None
    assert shown is not None
    printed = _covey(command[1], tmp_path, COLUMNS="100")
    assert [line.rstrip() for line in printed.splitlines()] == shown[1].splitlines()


def test_docs_name_every_status() -> None:
    page = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([A-Z_]+)`", page, flags=re.M) == [status.name for status in Status]


def test_the_privacy_page_names_every_refusal_code_in_its_words() -> None:
    assert re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", PRIVACY, flags=re.M) == [
        (code, code.sentence) for code in RefusalCode
    ]


def test_the_privacy_pages_epsilons_are_the_accountants() -> None:
    rows = re.findall(r"^\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PRIVACY, flags=re.M)
    assert len(rows) == 5
    for rho, *told in rows:
        expected = [epsilon(round(float(rho) * 1e6), 1e-6, days) for days in (1, 7, 30)]
        assert [rounded_up(value) for value in expected] == told, rho


def _covey(line: str, directory: Path, **environment: str) -> str:
    """Run a command line of a page in this process, which has imported everything once. Returns its output."""
    name, *arguments = shlex.split(line)
    assert name == "covey", line
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(out):
        patched.chdir(directory)
        for variable, value in environment.items():
            patched.setenv(variable, value)
        assert call(arguments) == 0, (line, out.getvalue())
    return out.getvalue()


def _run(arguments: list[str], directory: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=directory, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def test_the_joins_pages_commands_and_python_work_as_written(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "joins.md").read_text(encoding="utf-8")
    view = a_view("dest_delay", pane="1d", windows=["7d"], entity=Entity("dest", domain=["ATL", "007"]))
    fill(tmp_path, view, 10)
    labels = pa.table({"dest": ["ATL", "007", "LAX"], "sched_dep": pa.array([9 * DAY] * 3, pa.timestamp("us", "UTC"))})
    pq.write_table(labels, tmp_path / "labels.parquet")
    csv.write_csv(labels, tmp_path / "labels.csv")
    csv.write_csv(labels.drop_columns("dest").rename_columns(["when"]), tmp_path / "atlanta.csv")
    commands, renaming = re.findall(r"```sh\n(.*?)```", page, flags=re.S)
    (script,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    for line in (commands + renaming).splitlines():
        _covey(line.replace("--store store", "--store ."), tmp_path)
    assert pq.read_table(tmp_path / "training.parquet")["flights"].to_pylist() == [8, 8, None]
    assert csv.read_csv(tmp_path / "training.csv")["late_7d__status"].to_pylist() == ["OK", "OK", "NOT_FOUND"]
    assert pq.read_table(tmp_path / "atlanta.parquet")["late_7d__status"].to_pylist() == ["OK"] * 3
    (tmp_path / "script.py").write_text(script.replace('open("store")', 'open(".")'))
    _run(["script.py"], tmp_path)
    assert f"the first {CSV_BLOCK // 2**20} MiB" in page
    assert f"at most\n{JOIN_BATCH:,} labels" in page
    assert f"and {MINIMUM // 2**20} MiB is refused" in page


def _page(name: str) -> tuple[list[str], list[str]]:
    """The sh and the python blocks of a page."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    sh, python = (re.findall(rf"```{kind}\n(.*?)```", text, flags=re.S) for kind in ("sh", "python"))
    return sh, python


def _delays(directory: Path, view: FeatureView) -> None:
    fill(directory, view, 5)
    labels = {
        "dest": ["ATL", "LAX"],
        "distance": [760.0, 3.0],
        "sched_dep": pa.array([DAY] * 2, pa.timestamp("us", "UTC")),
    }
    pq.write_table(pa.table(labels), directory / "labels.parquet")


def test_the_on_demand_pages_commands_and_python_work_as_written(tmp_path: Path) -> None:
    (commands,), (definitions, reading) = _page("on-demand.md")
    (tmp_path / "views.py").write_text(definitions)
    declared = load_declared(tmp_path / "views.py", need_views=True)
    _delays(tmp_path, declared.views[0])
    with Publisher(tmp_path, lambda: DAY) as publisher:
        publisher.register_services(declared.services, declared.on_demand)
    for line in commands.splitlines():
        _covey(line.replace("--store store", "--store ."), tmp_path)
    assert pq.read_table(tmp_path / "training.parquet")["risk__status"].to_pylist() == ["OK", "OK"]
    (tmp_path / "script.py").write_text(reading.replace('open("store"', 'open("."'))
    _run(["script.py"], tmp_path)


def test_the_encryption_pages_commands_work_as_written(tmp_path: Path) -> None:
    pytest.importorskip("tenseal", reason="the extra `he` is not installed")
    (_, commands), (definitions,) = _page("he.md")
    (tmp_path / "views.py").write_text(definitions)
    times = [DAY * (1 + i % 2) for i in range(80)]
    pq.write_table(
        pa.table(
            {
                "who": [f"p{i // 4}" for i in range(80)],
                "at": pa.array(times, pa.timestamp("us", "UTC")),
                "shop": ["a", "a", "b", "b"] * 20,
                "spent": [float(i) for i in range(80)],
            }
        ),
        tmp_path / "events.parquet",
    )
    printed = [_covey(line, tmp_path, COLUMNS="200") for line in commands.splitlines()]
    bytes_of_a_report = re.search(r"1 ciphertext of 4,096 slots, ([\d,]+) bytes", printed[0])
    assert bytes_of_a_report is not None
    assert bytes_of_a_report[1].startswith("61,")  # the page rounds it
    assert "costs ρ = 0.000001 more" in printed[0]
    assert printed[2].count("opened") == 2


def test_the_cross_silo_pages_commands_work_as_written(tmp_path: Path) -> None:
    (commands,), (definitions,) = _page("cross-silo.md")
    (tmp_path / "views.py").write_text(definitions)
    columns = {
        "patient": [f"p{i % 40}" for i in range(160)],
        "hospital": [f"h{i % 2}" for i in range(160)],
        "at": pa.array([DAY * (1 + i % 3) for i in range(160)], pa.timestamp("us", "UTC")),
        "ward": ["a", "b", "c", "a"] * 40,
        "hours": [float(i % 60) for i in range(160)],
    }
    pq.write_table(pa.table(columns), tmp_path / "events.parquet")
    printed = [_covey(line, tmp_path, COLUMNS="300") for line in commands.splitlines()]
    assert "the sum of 20 clients at most" in printed[0]
    assert "as sites declare them" in printed[0]
    assert printed[1].split("stays")[1].split()[1] == "6"  # reports: two sites times three days
    assert printed[2].count("opened") == 3


def test_the_mpc_pages_commands_work_as_written(tmp_path: Path) -> None:
    if importlib.util.find_spec("crypten") is None or importlib.util.find_spec("torch") is None:
        pytest.skip("CrypTen is not installed (extra `mpc`, then pip install --no-deps crypten)")
    (_, commands), (definitions,) = _page("mpc.md")
    (tmp_path / "views.py").write_text(definitions)
    columns = {
        "who": [f"p{i // 4}" for i in range(80)],
        "at": pa.array([DAY * (1 + i % 2) for i in range(80)], pa.timestamp("us", "UTC")),
        "shop": ["a", "a", "b", "b"] * 20,
        "spent": [float(i) for i in range(80)],
    }
    pq.write_table(pa.table(columns), tmp_path / "events.parquet")
    printed = [_covey(line, tmp_path, COLUMNS="300") for line in commands.splitlines()]
    assert printed[1].count("opened") == 2
    history = pq.read_table(tmp_path / "history.parquet").to_pylist()
    assert "SUPPRESSED" in {row["people__status"] for row in history if row["shop"] == "c"}  # the shop had no visitors
    assert all((row["people"] is None) == (row["people__status"] == "SUPPRESSED") for row in history)


def test_the_remote_pages_commands_and_python_work_as_written(tmp_path: Path) -> None:
    (serve, commands), (reading,) = _page("remote.md")
    _delays(tmp_path, a_view())
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = {"6566": str(one.getsockname()[1]), "6570": str(other.getsockname()[1])}

    def placed(text: str) -> str:
        return re.sub("6566|6570", lambda port: ports[port[0]], text.replace("--store store", "--store ."))

    words = shlex.split(placed(serve), comments=True)
    server = subprocess.Popen(
        [sys.executable, "-m", *words, "--port", ports["6566"]], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        for line in server.stderr:
            if "worker(s)" in line:
                break
        _reachable(int(ports["6566"]))
        (tmp_path / "script.py").write_text(placed(reading))
        _run(["script.py"], tmp_path)
        for line in commands.splitlines():
            _covey(placed(line), tmp_path)
        assert pq.read_table(tmp_path / "history.parquet").num_rows == 10
    finally:
        server.terminate()
        server.communicate(timeout=120)


def _reachable(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, flights: pa.Table) -> Path:
    """What `covey demo` leaves, on January only and without the minutes that it takes, and the example of a model."""
    directory = tmp_path_factory.mktemp("demo")
    store = directory / "flights-store"
    run(
        flight_views(flights)[:2], flights, store=store, client_column="tailnum", time_column="arrived_at",
        site_column="carrier", budget="0.2", in_process=True,
    )  # fmt: skip
    pq.write_table(late_labels(flights), store / "labels.parquet")
    config = (ROOT / "examples" / "late_model.toml").read_text(encoding="utf-8")
    config = config.replace("2013-08-01", "2013-01-21").replace("2013-09-01", "2013-01-25")
    config = config.replace('    "carrier_delay:late_28d",\n', "").replace("epochs = 10", "epochs = 1")
    (directory / "examples").mkdir()
    (directory / "examples" / "late_model.toml").write_text(config)
    return directory


def test_the_model_pages_commands_and_python_work_as_written(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(demo, tmp_path, dirs_exist_ok=True)
    store = tmp_path / "flights-store"
    (commands, from_nothing, versions, elsewhere), (made_elsewhere, script) = _page("models.md")
    assert from_nothing == "covey train big.toml --trust\n"  # the test of the configuration below it runs this
    first, *rest = commands.splitlines()
    assert first == "covey demo --store flights-store"
    printed = [_covey(line, tmp_path, COLUMNS="200") for line in rest]
    assert "served now" in printed[0]
    assert "late@v1" in printed[1]
    assert [0 < row["prediction"] < 1 for row in json.loads(printed[3])] == [True]
    with Store.open(store) as opened:
        model = opened.model("late")
        with Publisher(store, wall_clock) as publisher:
            publisher.register_model(
                "late", {file: model.read(file) for file in model.files}, json.dumps(model.lineage)
            )
        shown, *_ = [_covey(line, tmp_path, COLUMNS="200") for line in versions.splitlines()]
        assert "auc" in shown
        assert [str(one) for one in opened.models()] == ["late@v2"]
        assert [str(one.serving) for one in opened.model_history("late").promotions] == [
            "v1",
            "v1=0.9 v2=0.1",
            "v1",
            "newest",
        ]
    (tmp_path / "script.py").write_text(script)
    assert "carrier_delay:late_7d__mask" in _run(["script.py"], tmp_path)
    if any(importlib.util.find_spec(name) is None for name in ("onnxruntime", "skl2onnx")):
        return  # the extra `onnx` is not installed
    (tmp_path / "elsewhere.py").write_text(made_elsewhere)
    _run(["elsewhere.py"], tmp_path)
    registered = [_covey(line, tmp_path, COLUMNS="200") for line in elsewhere.splitlines()]
    assert registered[:2] == ["registered as boosted@v1, kind onnx\n", "registered as scorer@v1, kind torch\n"]
    assert all(0 < json.loads(line)[0]["prediction"] < 1 for line in registered[2:])


def test_the_model_serving_pages_commands_and_python_work_as_written(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(demo, tmp_path, dirs_exist_ok=True)
    blocks, (script, *_) = _page("model-serving.md")
    first, train, serve = blocks[0].splitlines()
    assert first == "covey demo --store flights-store"
    _covey(train, tmp_path)
    log = tmp_path / "log"
    with log.open("wb") as errors:
        server = subprocess.Popen(
            [sys.executable, "-m", *shlex.split(serve), "--port", "0", "--no-compile"], cwd=tmp_path, stderr=errors
        )
    try:
        wait_until(lambda: "late@v1 is ready" in log.read_text() or server.poll() is not None)
        (port,) = re.findall(r"http://127\.0\.0\.1:([0-9]+)", log.read_text())[:1]
        curls = [block.replace("6566", port) for block in blocks if "/predict" in block and block.startswith("curl")]
        (plain, listed, explained, sure) = (
            json.loads(subprocess.run(shlex.split(curl), capture_output=True, check=True).stdout)
            for curl in (block.splitlines()[0] for block in curls)
        )
        assert plain.keys() == {"model", "version", "epoch", "predictions"}
        assert sure["interval"].keys() == {"level", "lo", "hi"}
        (low,), (high,) = sure["interval"]["lo"], sure["interval"]["hi"]
        shown = "(no interval)" if low is None else f"[{low:.4g}, {high:.4g}]"  # the demo's noise is new each time
        predicted = next(block for block in blocks if "--interval" in block).splitlines()[1]
        assert shown in _covey(predicted, tmp_path, COLUMNS="200")
        assert [0 < one < 1 for one in plain["predictions"]] == [True, True]
        assert listed["models"][0]["inputs"].keys() == {"carrier", "distance", "hour"}
        assert explained["predictions"] == [pytest.approx(plain["predictions"][0], rel=1e-5)]
        assert {one["view"] for one in explained["releases"]} == {"area_delay", "carrier_delay"}
        (tmp_path / "script.py").write_text(script.replace("6566", port))
        assert "carrier_delay@v1:late_7d" in _run(["script.py"], tmp_path)
    finally:
        server.terminate()
        server.wait(30)


def test_the_model_pages_one_command_works_as_written(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    (config,) = re.findall(r"```toml\n(.*?)```", page, flags=re.S)
    (tmp_path / "big.toml").write_text(config)
    (tmp_path / "views.py").write_text(VIEWS)
    pq.write_table(make_events(), tmp_path / "events.parquet")
    labels = {"shop": ["a", "b"] * 200, "big": [i % 3 == 0 for i in range(400)]}
    at = pa.array([1_588_400_000 + 500 * i for i in range(400)], pa.timestamp("s"))
    pq.write_table(pa.table({**labels, "at": at}), tmp_path / "labels.parquet")
    printed = _covey("covey train big.toml --trust", tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "served now" in printed


def test_the_model_page_names_every_key_of_a_configuration() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (?:`\[(\w+)\]` )?\| (.+) \|$", page, flags=re.M))
    sections = {
        "labels": training_config.LabelsConfig,
        "features": training_config.FeaturesConfig,
        "split": training_config.SplitConfig,
        "model": training_config.ModelConfig,
        "collect": training_config.CollectConfig,
        "promote": training_config.PromoteConfig,
        "serve": training_config.ServeConfig,
    }
    fields = training_config.TrainConfig.model_fields
    assert set(fields) >= set(sections)
    keys = {"": set(fields) - set(sections), **{name: set(of.model_fields) for name, of in sections.items()}}
    assert set(rows) - {"section"} >= set(keys)
    for section, names in keys.items():
        assert [name for name in names if f"`{name}`" not in rows[section]] == [], section


def test_the_quickstarts_experiments_work_with_fewer_clients(tmp_path: Path) -> None:
    pytest.importorskip("hydra", reason="the extra `lab` is not installed")
    (_, block), _ = _page("quickstart.md")
    collect, attack, sweep, _ = (shlex.split(line, comments=True) for line in block.splitlines())
    assert collect[:4] == ["covey", "lab", "run", "fleet=100k"]
    _covey(shlex.join([*collect, "fleet.clients=1000", "--out", "collect"]), tmp_path)
    _covey(shlex.join([*attack, "attack.trials=40", "--out", "attack"]), tmp_path)
    _covey(shlex.join([*sweep, "--out", "sweep"]), tmp_path)
    assert len(list((tmp_path / "sweep" / "runs").iterdir())) == 4


@pytest.mark.long  # the tests of reports always run, with a smaller set of experiments
def test_the_quickstarts_report_works_as_written(tmp_path: Path) -> None:
    pytest.importorskip("hydra", reason="the extra `lab` is not installed")
    (_, block), _ = _page("quickstart.md")
    _covey(shlex.join(shlex.split(block.splitlines()[-1], comments=True)), tmp_path)
    assert (tmp_path / "covey-report" / "report.html").is_file()


@pytest.mark.long  # the quickstart's experiments and test_lab_run.py always run each kind of command
def test_the_lab_pages_commands_work_as_written(tmp_path: Path) -> None:
    pytest.importorskip("hydra", reason="the extra `lab` is not installed")
    page = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
    (nested,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.S)
    (tmp_path / "nested.yaml").write_text(nested)
    runs = [line for block in re.findall(r"```sh\n(.*?)```", page, flags=re.S) for line in block.splitlines()]
    for line in runs:
        _covey(line, tmp_path)
    counts = {name: len(list((tmp_path / name / "runs").iterdir())) for name in ("sizes", "seeds", "nested")}
    assert counts == {"sizes": 4, "seeds": 3, "nested": 4}
    run = tmp_path / "phones"
    assert {one.name for one in run.iterdir()} == {"run.json", "values.parquet", "store", "truth", "report.html"}
