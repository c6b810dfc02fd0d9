"""docs/backup.md: an operator backs up, restores, moves and retracts as the page says, and no day is opened twice."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from base.errors import DONE, REFUSED

Covey = Callable[..., tuple[int, str, str]]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "backup.md").read_text(encoding="utf-8")
BACKUP, NEXT, RESTORE, ONLINE, REBUILD, MIGRATE, COMPACT, MOVE, RETRACT = re.findall(
    r"```sh\n(.*?)```", PAGE, flags=re.S
)
FIRST, ALL = ["--from", "2020-05-01", "--to", "2020-05-02"], ["--from", "2020-05-01", "--to", "2020-05-04"]


@pytest.fixture
def place(covey: Covey, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's project `flights`, of which one day is collected. A plan of its leader is running."""
    monkeypatch.chdir(project)
    views = (
        (project / "views.py").read_text().replace('"everywhere"', '"live"')
    )  # a name that a pattern might leave out
    views = views.replace('"visits",\n', '"dest_delay",\n', 1)
    (project / "views.py").write_text(views)
    assert covey("init", "flights", "--budget", "1")[0] == DONE
    live = project / "flights" / "roles" / "leader" / "live"
    live.mkdir(parents=True)
    (live / "plan").write_text("secret")
    assert collect(covey, "flights", FIRST)[0] == DONE
    return project


def collect(covey: Covey, project: str, days: list[str]) -> tuple[int, str]:
    code, _, err = covey(
        "run", "views.py", "--events", "events.parquet", "--client-column", "who", "--time-column", "at", "--site-column",
        "site", "--store", project, "--in-process", "--budget", "1", *days,
    )  # fmt: skip
    return code, err


def typed(covey: Covey, block: str, **words: str) -> list[str]:
    """Run the lines of a block; returns what each has printed."""
    printed = []
    for line in block.splitlines():
        parts = [words.get(part, part) for part in shlex.split(line)]
        if parts[0] == "covey":
            code, out, err = covey(*parts[1:])
            assert code == DONE, (line, err)
        else:
            out = subprocess.run(parts, check=True, capture_output=True, text=True).stdout
        printed.append(out)
    return printed


def opened(covey: Covey, project: str) -> int:
    return covey("release", "list", "--project", project)[1].count(" opened ")


def test_a_backup_has_no_live_secret_and_restores_to_a_whole_project(covey: Covey, place: Path) -> None:
    typed(covey, BACKUP)
    shutil.rmtree("flights")
    restored, _ = typed(covey, RESTORE)
    assert "nothing damaged" in restored
    assert covey("store", "verify", "--project", "flights")[0] == DONE
    assert not (place / "flights" / "roles" / "leader" / "live").exists()
    assert (place / "flights" / "keys" / "leader.key").stat().st_mode & 0o777 == 0o600
    for path in (place / "flights" / "store" / "blocks").iterdir():
        path.unlink()
    typed(covey, ONLINE)
    assert covey("store", "verify", "--project", "flights")[0] == DONE
    assert collect(covey, "flights", ALL)[0] == DONE  # nothing was collected since
    assert opened(covey, "flights") == 3 * 25


def test_the_next_backup_stores_what_did_not_change_once(covey: Covey, place: Path) -> None:
    typed(covey, BACKUP)
    (printed,) = typed(covey, NEXT)
    assert " 0 linked" not in printed
    shutil.rmtree("flights-backup")
    typed(
        covey,
        RESTORE.splitlines()[0].replace("flights-backup", "flights-backup-2").replace("--to flights", "--to again"),
    )
    assert opened(covey, "again") == 25


def test_a_project_of_this_version_has_nothing_to_migrate(covey: Covey, place: Path) -> None:
    assert all("every file has the formats of this version" in printed for printed in typed(covey, MIGRATE))


def test_a_compacted_store_reads_as_before(covey: Covey, place: Path) -> None:
    assert collect(covey, "flights", ALL)[0] == DONE
    before = covey("history", "dest_delay", "--project", "flights", "--csv")
    assert "bytes before" in typed(covey, COMPACT)[0]
    assert covey("history", "dest_delay", "--project", "flights", "--csv") == before
    assert covey("store", "verify", "--project", "flights")[0] == DONE


def test_after_an_older_copy_and_a_rebuilt_ledger_no_day_is_opened_twice(covey: Covey, place: Path) -> None:
    typed(covey, BACKUP)
    assert collect(covey, "flights", ALL)[0] == DONE  # after the backup
    shutil.rmtree("flights")
    typed(covey, RESTORE)
    typed(covey, REBUILD)
    code, err = collect(covey, "flights", ALL)
    assert code == REFUSED
    assert "had ended when the ledger was rebuilt" in err
    assert opened(covey, "flights") == 25


def test_a_moved_project_goes_on(covey: Covey, place: Path) -> None:
    (place / "flights" / "sites").mkdir()
    _, verified, status = typed(covey, MOVE)
    assert "nothing damaged" in verified
    assert "dest_delay" in status
    assert (place / "airport" / "roles" / "leader" / "live" / "plan").exists()
    assert collect(covey, "airport", ALL)[0] == DONE
    assert opened(covey, "airport") == 3 * 25


def test_no_path_of_a_project_but_those_that_the_page_names_is_absolute(covey: Covey, place: Path) -> None:
    from deployment.project.site_folders import configure_site

    configure_site(place / "flights", "1", str(place / "events.parquet"), "who", "at", allow_noise_off=False)
    files = [path for path in (place / "flights").rglob("*") if path.is_file()]
    naming = {str(path.relative_to(place / "flights")) for path in files if str(place).encode() in path.read_bytes()}
    assert {name for name in naming if not name.startswith("store/online/")} == {"sites/1.toml"}
    text = (place / "flights" / "sites" / "1.toml").read_text()
    assert [line.split(" = ")[0] for line in text.splitlines() if str(place) in line] == ["url"]


def test_a_release_is_retracted_and_a_deleted_store_is_not_collected_again(covey: Covey, place: Path) -> None:
    (listed,) = typed(covey, RETRACT.splitlines()[0])
    release = listed.splitlines()[1].split()[0]
    typed(covey, RETRACT, RELEASE=release)
    assert "retracted: a broken gateway" in covey("release", "list", "--view", "dest_delay", "--project", "flights")[1]
    shutil.rmtree(place / "flights" / "store")
    code, err = collect(covey, "flights", FIRST)
    assert code == REFUSED
    assert "was collected before under another plan" in err
