"""Encryption in several processes gives the same opened messages, and ends with its parent process."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
import pytest

from crypto.bfv import CiphertextSum
from crypto.bfv_parameters import BfvParameters
from crypto.bfv_secret import SecretKey
from edge_client import encrypting as module
from edge_client.encrypting import encrypting
from edge_client.errors import EncryptionFailed
from federation.he.reports import encrypt_one_by_one

pytest.importorskip("tenseal", reason="the extra `he` is not installed")

PARAMETERS = BfvParameters.choose(100, -5, 9, Fraction(0), 30)


def opened(secret: SecretKey, message: bytes) -> list[int]:
    total = CiphertextSum(PARAMETERS, secret.public.key_id)
    total.add(message)
    return secret.open_sum(total.ciphertexts).tolist()


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORTH_IT", 1)


@pytest.mark.usefixtures("always")
def test_processes_encrypt_each_report_under_the_key_of_the_call() -> None:
    values = np.random.default_rng(1).integers(-5, 10, (7, 30))
    with encrypting(PARAMETERS, 7, processes=3) as encrypt:
        for rows in (values, values[:2], values[:0]):
            for secret in (SecretKey.generate(PARAMETERS), SecretKey.generate(PARAMETERS)):
                messages = encrypt(secret.public, rows)
                assert [opened(secret, message) for message in messages] == rows.tolist()
                assert len(set(messages)) == len(messages)


@pytest.mark.usefixtures("always")
def test_children_end_with_the_run_and_one_that_died_is_told() -> None:
    secret = SecretKey.generate(PARAMETERS)
    children: list[module._Child] = []
    make = module._Child

    def remembered(parameters: BfvParameters) -> module._Child:
        children.append(make(parameters))
        return children[-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_Child", remembered)
        with encrypting(PARAMETERS, 9, processes=2) as encrypt:
            encrypt(secret.public, np.zeros((4, 30), np.int64))
            children[1]._process.kill()
            children[1]._process.wait()
            with pytest.raises(EncryptionFailed):
                encrypt(secret.public, np.zeros((4, 30), np.int64))
    assert len(children) == 2
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child._process.pid, 0)


def test_few_reports_are_encrypted_here() -> None:
    with encrypting(PARAMETERS, module.WORTH_IT - 1, processes=2) as encrypt:
        assert encrypt is encrypt_one_by_one
