"""`covey init` writes a project that all readers of its files accept."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from base.errors import ConfigInvalid
from base.tls.links import OwnCertificate
from base.tls.roles import TlsRole
from base.tls.trust import Trust
from deployment.errors import ProjectMissing
from deployment.project.certificates import OPERATED
from deployment.project.project import Project, as_collected_in
from edge_client.policy_file import load_policy
from featurestore.define.definitions import FeatureView
from featurestore.define.entities import Entity
from featurestore.define.kinds import Count
from featurestore.define.layout import layout_of
from featurestore.define.privacy import Bounds, Privacy
from featurestore.define.views_file import load_views
from featurestore.errors import DefinitionError
from featurestore.online.settings_file import load_settings
from federation.keys import load_keys, roles_in
from federation.ledger.state import Budget
from federation.terms import Validity

Covey = Callable[..., tuple[int, str, str]]


def test_it_makes_a_whole_project_and_says_what_to_do_next(covey: Covey, tmp_path: Path) -> None:
    folder = tmp_path / "flights"
    code, out, err = covey("init", folder, "--sites", 3)
    assert (code, out) == (0, "")
    assert sorted(path.name for path in folder.iterdir()) == [
        "covey.toml", "keys", "ledgers", "policy.toml", "roles", "store", "views.py",
    ]  # fmt: skip
    for private in ("keys", "ledgers", "roles"):
        assert stat.S_IMODE((folder / private).stat().st_mode) == 0o700, private
    assert "this machine holds every secret" in err
    for command in (
        "covey explain",
        f"covey up --project {folder} --events 1=FILE --events 2=FILE --events 3=FILE --client-column NAME",
        "covey start superlink",
        "covey start helper",
        "covey start leader",
        *(f"covey start site {site}" for site in (1, 2, 3)),
        "covey apply",
        "covey collect",
        "covey status",
    ):
        assert command in err
    assert "over a trusted channel" not in err
    project = Project.load(folder)
    roles = ("collector", "coordinator", "helper", "leader", "site-1", "site-2", "site-3")
    assert roles_in(folder / "keys") == roles
    keys = {role: load_keys(folder / "keys", role).public for role in roles}
    assert (project.name, project.budget, project.allow_noise_off) == ("flights", Budget(100_000), False)
    assert project.coordinator == keys["coordinator"].sign
    assert project.collector == keys["collector"].collector
    assert (project.leader, project.helper) == (keys["leader"].sign, keys["helper"].sign)
    assert [(site.site, site.key, site.max_clients) for site in project.roster.entries] == [
        (number, keys[f"site-{number}"].sign, 100_000) for number in ("1", "2", "3")
    ]
    assert project.to_toml() == (folder / "covey.toml").read_text()
    for role in set(TlsRole) - {TlsRole.PROVIDER}:
        own = OwnCertificate.load(folder / "keys", role)
        assert set(own.certificate.hosts) == {"localhost", "127.0.0.1", "::1"}
        assert stat.S_IMODE(own.key_path.stat().st_mode) == 0o600
        Trust.load(folder / "keys", role).verify(own.certificate, role, datetime.now(UTC))


def test_its_views_and_policy_are_accepted_and_fit_its_budget(covey: Covey, tmp_path: Path) -> None:
    assert covey("init", tmp_path / "p", "--budget", "0.001")[0] == 0
    assert covey("explain", tmp_path / "p" / "views.py")[0] == 0
    (view,) = load_views(tmp_path / "p" / "views.py")
    policy, project = load_policy(tmp_path / "p" / "policy.toml"), Project.load(tmp_path / "p")
    assert (project.budget.micro_rho, policy.budget.micro_rho) == (1_000, 1_000)
    assert 0 < layout_of(view).micro_rho <= 500
    assert view.privacy.min_clients >= policy.min_k
    assert (policy.coordinator, policy.leader, policy.helper) == (project.coordinator, project.leader, project.helper)


@pytest.mark.parametrize(("max_clients", "visible"), [(1, False), (2, True)])
def test_activity_may_be_seen_where_the_projects_plans_show_it(
    covey: Covey, tmp_path: Path, max_clients: int, visible: bool
) -> None:
    covey("init", tmp_path / "p", "--max-clients", max_clients)
    assert load_policy(tmp_path / "p" / "policy.toml").allow_activity_visible == visible


def test_json_tells_what_was_made_and_no_secret(covey: Covey, tmp_path: Path) -> None:
    code, out, err = covey("init", tmp_path / "p", "--site", "UA", "--site", "9E", "--name", "n", "--json")
    made = json.loads(out)
    assert code == 0
    assert (made["project"], made["sites"], made["budget_micro_rho"]) == ("n", ["UA", "9E"], 100_000)
    assert set(made["keys"]) == {"coordinator", "collector", "leader", "helper", "site-UA", "site-9E"}
    shown = out + err + "".join((tmp_path / "p" / name).read_text() for name in ("covey.toml", "policy.toml"))
    for role in made["keys"]:
        assert (tmp_path / "p" / "keys" / f"{role}.key").read_text().split()[2][:24] not in shown


def test_every_role_of_one_machine_has_a_certificate_that_its_peers_trust(covey: Covey, tmp_path: Path) -> None:
    """The provider, which has no signing key, as well: `covey up --finish mpc` starts it."""
    assert covey("init", tmp_path / "p")[0] == 0
    for role in TlsRole:
        certificate = OwnCertificate.load(tmp_path / "p" / "keys", role).certificate
        Trust.load(tmp_path / "p" / "keys", role).verify(certificate, role, datetime.now(UTC))


@pytest.mark.parametrize("there", ["covey.toml", "policy.toml", "keys"])
def test_nothing_is_overwritten(covey: Covey, tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    code, _, err = covey("init", tmp_path)
    assert code == 2
    assert f"{there} exists" in err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_views_that_are_there_are_left_alone(covey: Covey, tmp_path: Path) -> None:
    (tmp_path / "views.py").write_text("mine")
    code, _, err = covey("init", tmp_path)
    assert code == 0
    assert (tmp_path / "views.py").read_text() == "mine"
    assert "an existing file, not changed" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sites", 2, "--site", "a"], "give one of --sites N"),
        (["--site", "a", "--public", "b.pub"], "give one of --sites N"),
        (["--site", "a", "--site", "a"], "twice"),
        (["--site", "../a"], "site id"),
        (["--name", "a b"], "project name"),
        (["--max-clients", 2**40], "max_clients"),
        (["--sites", 0], "sites"),
        (["--budget", "0"], "above 0"),
        (["--budget", "-1"], "above 0"),
        (["--budget", "nan"], "a number such as 0.1"),
        (["--budget", "0.00000001"], "multiple of a millionth"),
        (["--budget", "1e9"], "at most"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_leaves_nothing(
    covey: Covey, tmp_path: Path, words: list[str], says: str
) -> None:
    code, _, err = covey("init", tmp_path, *words)
    assert code == 2
    assert says in err
    assert list(tmp_path.iterdir()) == []


class TestOperatorsOfTheirOwn:
    """Each operator makes the keys of one role. Whoever has all public halves writes covey.toml."""

    ROLES = ("coordinator", "collector", "leader", "helper", "site-UA", "site-9E")

    @pytest.fixture
    def lines(self, covey: Covey, tmp_path: Path) -> list[Path]:
        for role in self.ROLES:
            assert covey("keys", "init", role, "--project", tmp_path / role)[0] == 0
        return [tmp_path / role / "keys" / f"{role}.pub" for role in self.ROLES]

    def test_every_operator_gets_the_same_project_beside_his_own_keys(
        self, covey: Covey, tmp_path: Path, lines: list[Path]
    ) -> None:
        words = [word for line in lines for word in ("--public", line)]
        for role in ("leader", "site-UA"):
            code, _, err = covey("init", tmp_path / role, "--name", "flights", *words)
            assert (code, "one machine" in err) == (0, False)
            assert f"the secrets of {role}\n" in err
            assert roles_in(tmp_path / role / "keys") == (role,)
            project = Project.load(tmp_path / role)
            assert project.leader == load_keys(tmp_path / "leader" / "keys", "leader").sign.public
            assert [site.site for site in project.roster.entries] == ["UA", "9E"]
            policy = load_policy(tmp_path / role / "policy.toml")
            assert policy.helper == project.helper
            assert not policy.allow_activity_visible  # each operator allows it themselves
            for each in OPERATED["coordinator"]:
                authority = OwnCertificate.load(tmp_path / "coordinator" / "keys", each).certificate
                Trust.load(tmp_path / role / "keys", each).verify(authority, each, datetime.now(UTC))
        both = [(tmp_path / role / "covey.toml").read_text() for role in ("leader", "site-UA")]
        assert both[0] == both[1]

    def test_a_trust_file_that_is_there_is_not_changed(self, covey: Covey, tmp_path: Path, lines: list[Path]) -> None:
        path = tmp_path / "site-UA" / "keys" / "trust" / "superlink.crt"
        path.parent.mkdir()
        path.write_text("mine")
        words = [word for line in lines for word in ("--public", line)]
        code, out, _ = covey("init", tmp_path / "site-UA", *words, "--json")
        assert (code, json.loads(out)["kept"], path.read_text()) == (0, ["keys/trust/superlink.crt"], "mine")

    @pytest.mark.parametrize(
        ("own", "says", "not_said"),
        [
            (
                ("coordinator", "collector"),
                ("covey start superlink", "--host 0.0.0.0", "covey collect", "covey status"),
                ("start leader", "start helper", "start site", "allow_activity_visible"),
            ),
            (
                ("leader",),
                ("covey start leader", "covey ledger show"),
                ("start superlink", "start helper", "start site", "explain"),
            ),
            (
                ("site-9E",),
                ("covey start site 9E", "allow_activity_visible = true"),
                ("site UA", "start leader"),
            ),
            ((), ("put the .key and .pub files of your roles into",), ("covey start", "covey ledger")),
        ],
    )
    def test_the_next_steps_are_those_of_the_roles_whose_keys_are_there(
        self,
        covey: Covey,
        tmp_path: Path,
        lines: list[Path],
        own: Sequence[str],
        says: Sequence[str],
        not_said: Sequence[str],
    ) -> None:
        for role in own:
            for file in (tmp_path / role / "keys").glob("*.*"):
                (tmp_path / "p" / "keys").mkdir(parents=True, exist_ok=True, mode=0o700)
                shutil.copy(file, tmp_path / "p" / "keys" / file.name)
        code, _, err = covey("init", tmp_path / "p", *(word for line in lines for word in ("--public", line)))
        following = err.partition("next:")[2]
        assert (code, "covey keys show" in following, "[network]" in following) == (0, True, True), err
        assert ("covey doctor" in following, "--renew" in following) == (bool(own), False)
        assert [text for text in says if text not in following] == [], err
        assert [text for text in not_said if text in following] == [], err

    def test_sites_of_one_client_decide_nothing_about_activity(
        self, covey: Covey, tmp_path: Path, lines: list[Path]
    ) -> None:
        words = [word for line in lines for word in ("--public", line)]
        code, _, err = covey("init", tmp_path / "site-UA", "--max-clients", 1, *words)
        assert (code, "covey start site UA" in err, "allow_activity_visible" in err) == (0, True, False), err

    @pytest.mark.parametrize(
        ("left_out", "says"),
        [(["leader"], "no public key of leader"), (["site-UA", "site-9E"], "no public key of a site")],
    )
    def test_a_role_that_is_missing_is_named(
        self, covey: Covey, tmp_path: Path, lines: list[Path], left_out: list[str], says: str
    ) -> None:
        words = [word for line in lines if line.stem not in left_out for word in ("--public", line)]
        code, _, err = covey("init", tmp_path / "new", *words)
        assert (code, says in err, (tmp_path / "new").exists()) == (2, True, False)

    def test_lines_that_are_none_are_named(self, covey: Covey, tmp_path: Path, lines: list[Path]) -> None:
        assert covey("init", tmp_path / "new", "--public", lines[0], "--public", lines[0])[0] == 2
        code, _, err = covey("init", tmp_path / "new", "--public", tmp_path / "nowhere.pub")
        assert (code, "nowhere.pub" in err) == (2, True)
        code, _, err = covey("init", tmp_path / "new", "--public", lines[0].with_suffix(".key"))
        assert (code, "covey-public-2" in err) == (1, True)
        with (tmp_path / "huge.pub").open("wb") as file:
            file.truncate(2**40)
        code, _, err = covey("init", tmp_path / "new", "--public", tmp_path / "huge.pub")
        assert (code, "huge.pub" in err) == (1, True)
        assert not (tmp_path / "new").exists()


class TestProjectFile:
    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            ("[leader]", "[ladder]", "covey.toml: leader: write a section [leader]"),
            ('name = "p"', "name = 3", '[project] name: write name = "…", not 3'),
            ("max_clients = 100000", "max_clients = true", "[[site]] 1 max_clients: write max_clients = N, not true"),
            ("max_clients = 100000", "max_clients = 0", "max_clients 0"),
            ('id = "1"', 'id = "2"', "site '2' did not sign it with its own key"),
            ('node = "', 'node = "AAAA', "[[site]] 1 node: not the node key of a site: 116 bytes"),
            ('node = "', "node = 1  # ", "[[site]] 1 node: write the key as base64 text"),
            ("[helper]", '[helper]\nseal = "AAAA"', "[helper]: `seal` is from an older version"),
            ("[helper]", '[network]\nhelper = "7302"\n[helper]', "[network] helper: '7302' is not an address"),
            ("[helper]", "[network]\nhelper = 7302\n[helper]", "[network] helper: an address, such as"),
            ("[helper]", '[network]\nhelpr = "a:1"\n[helper]', "[network] helpr: unknown key; did you mean helper?"),
            ('sign = "', 'sign = "?', "not base64"),
            ('sign = "', 'sign = "AAAA', "need 32"),
            ("[project]", "[project", "not TOML"),
            ("[[site]]", "[site]", "TOML"),
            (
                "budget = 0.1",
                "budget_micro_rho = 100000",
                "[privacy] budget_micro_rho: unknown key. Known are budget",
            ),
            ("budget = 0.1", "budget = true", "[privacy] budget: rho must be a number such as 0.1, not 'True'"),
            ("budget = 0.1", 'budget = "0.1"', "[privacy] budget: rho must be a number"),
            ("budget = 0.1", "budget = 0.0", "[privacy] budget: rho must be above 0"),
            ("budget = 0.1", "budget = nan", "a number such as 0.1"),
            ("budget = 0.1", "budget = 0.1234567", "multiple of a millionth"),
            ("[privacy.quota]", "[privacy.quota]\nv = -1", "[privacy] quota.v: rho must be above 0"),
            ("[privacy.quota]", "quota = 3\n[other]", "[privacy] quota: write quota = {view = RHO}, not 3"),
            (
                "[privacy.quota]",
                "[privacy.quotas]",
                "[privacy] quotas: unknown key; did you mean quota? Known are budget, allow_noise_off, validity, noisers, quota",
            ),
            ('validity = "any"', 'validity = "none"', "[privacy] validity: it must be 'any' or 'prio3', not 'none'"),
            ('validity = "any"', "validity = true", "not true"),
            ('noisers = "each"', 'noisers = "both"', "[privacy] noisers: it must be 'each' or 'shared', not 'both'"),
        ],
    )
    def test_a_mistake_is_named(self, covey: Covey, tmp_path: Path, old: str, new: str, says: str) -> None:
        covey("init", tmp_path, "--name", "p")
        path = tmp_path / "covey.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(ConfigInvalid) as raised:
            Project.load(tmp_path)
        assert says in str(raised.value)

    def test_budget_and_quotas_are_exact(self, covey: Covey, tmp_path: Path) -> None:
        covey("init", tmp_path, "--budget", "0.3")
        path = tmp_path / "covey.toml"
        path.write_text(path.read_text().replace("[privacy.quota]", "[privacy.quota]\ndest_delay = 0.05\nsmall = 1e-6"))
        project = Project.load(tmp_path)
        assert project.budget == Budget(300_000, {"dest_delay": 50_000, "small": 1})
        path.write_text(project.to_toml())
        assert Project.load(tmp_path).budget == project.budget

    def test_a_view_may_need_another_number_of_sites(self, covey: Covey, tmp_path: Path) -> None:
        covey("init", tmp_path, "--sites", "3")
        path = tmp_path / "covey.toml"
        more = '\n[collection.views."dest_delay"]\nmin_sites = 0.5\n\n[collection.views."small"]\nmin_sites = 1\n'
        path.write_text(path.read_text().replace("\n[coordinator]", f"{more}\n[coordinator]"))
        project = Project.load(tmp_path)
        needed = {view: project.sites_needed_for(view) for view in ("dest_delay", "small", "another")}
        assert needed == {"dest_delay": 2, "small": 1, "another": project.sites_needed}
        assert project.to_toml() == path.read_text()
        path.write_text(path.read_text().replace("min_sites = 0.5", "min_sites = 1.5"))
        with pytest.raises(ConfigInvalid, match=r"\[collection\.views\] dest_delay\.min_sites"):
            Project.load(tmp_path)

    def test_an_aggregator_demands_proofs_if_its_file_says_so(self, covey: Covey, tmp_path: Path) -> None:
        covey("init", tmp_path)
        path = tmp_path / "covey.toml"
        text = path.read_text()
        assert Project.load(tmp_path).validity is None
        path.write_text(text.replace('validity = "any"', 'validity = "prio3"'))
        assert Project.load(tmp_path).validity is Validity.PRIO3
        assert Project.load(tmp_path).to_toml() == path.read_text()
        path.write_text("".join(line for line in text.splitlines(True) if not line.startswith("validity")))
        assert Project.load(tmp_path).validity is None

    def test_views_that_name_no_noisers_have_those_of_the_project(self, covey: Covey, tmp_path: Path) -> None:
        covey("init", tmp_path)
        path = tmp_path / "covey.toml"
        text = path.read_text()
        assert Project.load(tmp_path).noisers == "each"
        path.write_text("".join(line for line in text.splitlines(True) if not line.startswith("noisers")))
        assert Project.load(tmp_path).noisers == "each"
        path.write_text(text.replace('noisers = "each"', 'noisers = "shared"'))
        project = Project.load(tmp_path)
        assert project.to_toml() == path.read_text()
        views = [
            FeatureView(
                "v",
                entity=Entity("k", domain=["a"]),
                features=[Count("n")],
                pane="1d",
                bounds=Bounds(1),
                privacy=privacy,
            )
            for privacy in (Privacy(rho=0.01), Privacy(rho=0.01, noisers="each"), Privacy(rho=0.01, noisers="shared"))
        ]
        found = [one.privacy.chosen_noisers for one in project.with_default_noisers(views)]
        assert found == ["shared", "each", "shared"]
        assert as_collected_in(tmp_path / "nowhere", views) == tuple(views)
        pure = replace(views[0], privacy=Privacy(epsilon=1.0, mechanism="laplace"))
        with pytest.raises(DefinitionError, match="noisers='shared' needs Gaussian noise"):
            project.with_default_noisers([pure])

    def test_sections_of_others_are_left_alone_and_a_missing_file_is_named(self, covey: Covey, tmp_path: Path) -> None:
        with pytest.raises(ProjectMissing, match="covey init"):
            Project.load(tmp_path)
        covey("init", tmp_path)
        with (tmp_path / "covey.toml").open("a") as file:
            file.write("\n[server]\nport = 1\n")
        assert len(Project.load(tmp_path).roster.entries) == 2

    def test_a_store_whose_file_only_says_where_its_rows_are_is_no_project(self, covey: Covey, tmp_path: Path) -> None:
        online, path = '[online]\nurl = "redis://:secret@localhost"\n', tmp_path / "covey.toml"
        assert Project.find(tmp_path) is None
        path.write_text(online)
        assert Project.find(tmp_path) is None
        path.write_text(online + "[privcy]\nbudget = 0.1\n")
        with pytest.raises(ConfigInvalid, match=r"write a section \[project\]"):
            Project.find(tmp_path)
        path.unlink()
        covey("init", tmp_path, "--budget", "0.3")
        path.write_text(path.read_text() + online)
        project = Project.find(tmp_path)
        assert project is not None
        assert project.budget == Budget(300_000)
        assert load_settings(tmp_path).url is not None
        covey("init", tmp_path)  # existing files stay
        assert path.read_text().endswith(online)
