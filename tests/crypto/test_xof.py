"""XofTurboShake128 against the official vectors of draft-irtf-cfrg-vdaf, VERSION 18."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Crypto.Hash import TurboSHAKE128

from crypto import field
from crypto.errors import TooLong
from crypto.field_modulus import P
from crypto.xof import XofTurboShake128
from crypto.xof_batch import BatchXof

VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "vdaf"


def vector(name: str) -> dict[str, Any]:
    path = VECTORS / name
    if not path.exists():
        pytest.skip(f"the official VDAF vectors are not at {path}: they are not part of the repository")
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def test_the_official_vector_of_the_xof():
    v = vector("XofTurboShake128.json")
    seed, dst, binder = (bytes.fromhex(v[key]) for key in ("seed", "dst", "binder"))
    assert XofTurboShake128.derive_seed(seed, dst, binder).hex() == v["derived_seed"]
    # The vector is of Field128: 16 bytes an element, of which none was rejected, so it is the plain stream.
    expanded = bytes.fromhex(v["expanded_vec_field128"])
    assert XofTurboShake128(seed, dst, binder).next(len(expanded)) == expanded
    assert len(expanded) == 16 * v["length"]


@pytest.fixture
def field64_report() -> dict[str, Any]:
    """Prio3SumVecWithMultiproof, the one official instance over Field64. Its helper share is a seed, as in Covey."""
    v = vector("Prio3SumVecWithMultiproof_0.json")
    report = v["reports"][0]
    return {
        "seed": bytes.fromhex(report["input_shares"][1])[:32],
        "dst": bytes([18, 0]) + b"\xff\xff\xff\xff" + bytes([0, 1]) + bytes.fromhex(v["ctx"]),
        "leader": field.from_bytes(bytes.fromhex(report["input_shares"][0])[: 8 * 8 * v["length"]]),
        "out_share": field.from_bytes(bytes.fromhex(report["out_shares"][1])),
        "measurement": report["measurement"],
    }


def test_next_vec_gives_the_helper_share_of_the_official_field64_report(field64_report: dict[str, Any]):
    bits = XofTurboShake128(field64_report["seed"], field64_report["dst"], b"\x01").next_vec(80).reshape(10, 8)
    weighted = field.multiply(bits, np.array([1 << i for i in range(8)], np.uint64))
    assert field.sum_rows(np.ascontiguousarray(weighted.T)).tolist() == field64_report["out_share"].tolist()


def test_the_batch_path_gives_the_leader_share_of_the_official_field64_report(field64_report: dict[str, Any]):
    # The last four bytes of the context take the place of the collection index.
    dst = field64_report["dst"]
    xof = BatchXof(dst[:-4] + bytes(4), len(dst) - 4, b"\x01")
    seeds = np.tile(np.frombuffer(field64_report["seed"], np.uint8), (5, 1))
    indices = np.full(5, int.from_bytes(dst[-4:], "big"), np.uint32)
    bits = np.array([value >> i & 1 for value in field64_report["measurement"] for i in range(8)], np.uint64)
    leader = field.add(bits, xof.expand(seeds, indices, 80, negated=True))
    assert (leader == field64_report["leader"]).all()


def test_the_message_is_the_length_prefixed_tag_then_seed_then_binder():
    shake = TurboSHAKE128.new(domain=1, data=b"\x03\x00tag\x02ssbinder")
    assert XofTurboShake128(b"ss", b"tag", b"binder").next(500) == shake.read(500)


def test_a_stream_is_the_same_however_it_is_cut():
    whole = XofTurboShake128(bytes(32), b"t", b"").next(1000)
    stream = XofTurboShake128(bytes(32), b"t", b"")
    assert b"".join(stream.next(n) for n in (0, 1, 167, 168, 169, 495)) == whole
    elements = XofTurboShake128(bytes(32), b"t", b"")
    parts = [elements.next_vec(n) for n in (3, 0, 122)]
    assert field.to_bytes(np.concatenate(parts)) == whole


class Scripted:
    """A stream that consists of the given words only."""

    def __init__(self, words: list[int]) -> None:
        self.data = b"".join(w.to_bytes(8, "little") for w in words)

    def read(self, n: int) -> bytes:
        assert n <= len(self.data), "read beyond what is needed"
        head, self.data = self.data[:n], self.data[n:]
        return head


@pytest.mark.parametrize("rejected", [P, P + 1, 2**64 - 1])
def test_next_vec_skips_words_of_p_or_more_and_reads_no_word_too_many(rejected: int):
    stream = XofTurboShake128(bytes(32), b"", b"")
    stream._shake = Scripted([rejected, 5, rejected, rejected, P - 1, 7, 8, 9])
    assert stream.next_vec(4).tolist() == [5, P - 1, 7, 8]
    assert stream.next(8) == (9).to_bytes(8, "little")


def test_lengths_that_their_prefixes_cannot_hold_are_refused():
    with pytest.raises(TooLong):
        XofTurboShake128(bytes(32), bytes(2**16), b"")
    with pytest.raises(TooLong):
        XofTurboShake128(bytes(256), b"", b"")


def test_the_seed_is_not_in_the_repr():
    assert repr(XofTurboShake128(b"\x07" * 32, b"", b"")) == "XofTurboShake128(<secret>)"
