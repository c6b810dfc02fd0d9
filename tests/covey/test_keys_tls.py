"""`covey keys tls` and `covey keys trust`: certificates of this operator's roles, and authorities of the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from base.errors import CertificateUntrusted
from base.locks import lock_folder
from base.tls.files import certificate_path
from base.tls.links import OwnCertificate
from base.tls.roles import TlsRole
from base.tls.trust import Trust
from federation.public_file import PublicFile

Covey = Callable[..., tuple[int, str, str]]
LEADER, HELPER, SERVER = TlsRole.LEADER, TlsRole.HELPER, TlsRole.SERVER


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def leader(covey: Covey, tmp_path: Path) -> Path:
    assert covey("keys", "init", "leader", "--project", tmp_path / "leader", "--name", "leader.example")[0] == 0
    return tmp_path / "leader"


def test_the_keys_of_a_role_come_with_its_certificates(covey: Covey, leader: Path, tmp_path: Path) -> None:
    assert "leader.example" in OwnCertificate.load(leader / "keys", LEADER).certificate.hosts
    covey("keys", "init", "helper", "--project", tmp_path / "helper")
    found = {path.stem for path in (tmp_path / "helper" / "keys" / "tls").glob("*.crt")}
    assert found == {"ca", "helper", "keyholder"}
    covey("keys", "init", "site-a", "--project", tmp_path / "site")
    assert not (tmp_path / "site" / "keys" / "tls").exists()


def test_a_certificate_is_replaced_by_name_only_and_keeps_its_hosts(covey: Covey, leader: Path) -> None:
    before = OwnCertificate.load(leader / "keys", LEADER)
    code, out, _ = covey("keys", "tls", "--project", leader, "--json")
    assert (code, json.loads(out)["kept"], json.loads(out)["made"]) == (0, ["leader"], [])
    code, _, err = covey("keys", "tls", "--project", leader, "--name", "other.example")
    assert (code, "does not name other.example" in err, "see --renew and --name" in err) == (2, True, True), err
    assert OwnCertificate.load(leader / "keys", LEADER).certificate == before.certificate
    code, out, _ = covey("keys", "tls", "--project", leader, "--name", "other.example", "--renew", "--json")
    after = OwnCertificate.load(leader / "keys", LEADER)
    (made,) = json.loads(out)["made"]
    assert (code, made["role"], made["sha256"]) == (0, "leader", after.certificate.fingerprint)
    assert {"leader.example", "other.example", "localhost"} < set(after.certificate.hosts)
    assert after.key != before.key
    Trust.load(leader / "keys", LEADER).verify(after.certificate, LEADER, now())


def test_what_it_prints_names_no_secret_and_what_to_hand_out(covey: Covey, leader: Path) -> None:
    code, out, err = covey("keys", "tls", "--project", leader, "--renew")
    assert (code, out) == (0, "")
    assert "is for the leader at" in err
    assert "leader.example" in err
    assert Trust.load(leader / "keys", LEADER).authorities[0].fingerprint in err.replace("\n", "")
    assert "PRIVATE" not in err


def test_a_role_without_a_signing_key_is_named(covey: Covey, tmp_path: Path) -> None:
    code, _, err = covey("keys", "tls", "--project", tmp_path)
    assert (code, "see --role" in err) == (2, True)
    code, _, err = covey("keys", "tls", "--project", tmp_path, "--role", "leder")
    assert (code, "there is no role 'leder' with a certificate" in err) == (2, True)
    assert covey("keys", "tls", "--project", tmp_path, "--role", "provider")[0] == 0
    assert OwnCertificate.load(tmp_path / "keys", TlsRole.PROVIDER).certificate.role is TlsRole.PROVIDER


def test_an_operator_takes_the_authority_of_another_from_its_pub(covey: Covey, leader: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    code, _, err = covey("keys", "trust", "leader", leader / "keys" / "leader.pub", "--project", mine)
    assert (code, "compare each SHA-256" in err) == (0, True)
    Trust.load(mine / "keys", LEADER).verify(OwnCertificate.load(leader / "keys", LEADER).certificate, LEADER, now())
    code, _, err = covey("keys", "trust", "leader", tmp_path / "nowhere", "--project", mine)
    assert (code, "no file" in err, "nowhere" in err, "covey keys tls" in err) == (2, True, True, False), err
    code, _, err = covey("keys", "trust", "leader", leader / "keys" / "leader.key", "--project", mine)
    assert (code, "no whole PEM certificate" in err) == (1, True)


def test_an_authority_is_rotated_away_in_steps_of_which_each_works(covey: Covey, leader: Path, tmp_path: Path) -> None:
    """New authority, peers take it, new certificates, peers drop the old one."""
    mine = tmp_path / "mine"
    mine.mkdir()
    keys, pub = leader / "keys", leader / "keys" / "leader.pub"
    covey("keys", "trust", "leader", pub, "--project", mine)

    def verify(certificate: OwnCertificate) -> None:
        for folder in (mine, leader):  # the operator's own roles trust it, too
            Trust.load(folder / "keys", LEADER).verify(certificate.certificate, LEADER, now())

    old = OwnCertificate.load(keys, LEADER)
    assert covey("keys", "tls", "--new-authority", "--project", leader)[0] == 0
    assert OwnCertificate.load(keys, LEADER).certificate == old.certificate
    verify(old)
    (new,) = (PublicFile.parse(pub.read_text(), "pub").authority or Trust("", ())).authorities
    assert new.fingerprint != Trust.load(mine / "keys", LEADER).authorities[0].fingerprint
    code, out, _ = covey("keys", "trust", "leader", pub, "--project", mine, "--json")
    assert (code, len(json.loads(out)["authorities"])) == (0, 2)
    verify(old)
    covey("keys", "tls", "--renew", "--project", leader)
    verify(OwnCertificate.load(keys, LEADER))
    verify(old)
    code, out, _ = covey("keys", "trust", "leader", pub, "--only", "--project", mine, "--json")
    assert [one["sha256"] for one in json.loads(out)["authorities"]] == [new.fingerprint]
    Trust.load(mine / "keys", LEADER).verify(OwnCertificate.load(keys, LEADER).certificate, LEADER, now())
    with pytest.raises(CertificateUntrusted):
        Trust.load(mine / "keys", LEADER).verify(old.certificate, LEADER, now())


def test_a_command_waits_for_another_one_that_changes_the_same_files(covey: Covey, tmp_path: Path) -> None:
    project = tmp_path / "p"
    assert covey("init", project)[0] == 0
    pub = project / "keys" / "leader.pub"
    commands = {("tls", "--renew"): pub.parent, ("tls", "--new-authority"): pub.parent, ("trust", "leader", pub): pub.parent,
                ("accept", pub): project}  # fmt: skip
    for words, folder in commands.items():
        codes = list[int]()
        waiting = Thread(target=lambda: codes.append(covey("keys", *words, "--project", project)[0]))  # noqa: B023 - it ends in this turn
        with lock_folder(folder, wait=False):
            waiting.start()
            waiting.join(1)
            assert waiting.is_alive(), words
        waiting.join(30)
        assert codes == [0]


def test_brought_certificates_are_left_alone(covey: Covey, leader: Path) -> None:
    (leader / "keys" / "tls" / "ca.key").unlink()
    before = certificate_path(leader / "keys", "leader").read_bytes()
    code, _, err = covey("keys", "tls", "--project", leader, "--renew")
    assert (code, "ca.key: the authority's key is needed to issue certificates" in err) == (5, True), err
    assert covey("keys", "tls", "--project", leader)[0] == 0
    assert certificate_path(leader / "keys", "leader").read_bytes() == before


def test_a_project_of_one_machine_trusts_itself(covey: Covey, tmp_path: Path) -> None:
    assert covey("init", tmp_path / "p")[0] == 0
    keys = tmp_path / "p" / "keys"
    for role in TlsRole:
        Trust.load(keys, role).verify(OwnCertificate.load(keys, role).certificate, role, now())
    assert covey("keys", "tls", "--new-authority", "--renew", "--project", tmp_path / "p")[0] == 0
    for role in TlsRole:
        trust = Trust.load(keys, role)
        assert len(trust.authorities) == 2
        trust.verify(OwnCertificate.load(keys, role).certificate, role, now())
