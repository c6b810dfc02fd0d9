"""The official vectors of Prio3, read and replayed as in "Test Vectors", "Schema" of the draft.

A vector lists operations with their input and output messages. An operation of `success: false` must fail with one of the
implementation's named errors. No vector contains the verification state: it belongs to the implementation, which keeps it from
one operation to the next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.shared_files import SHARED
from tests.vdaf.interface import Implementation, Instance

FOLDER = SHARED / "vectors" / "vdaf"
# Keys of every file; all other keys of its top level are parameters of the type.
COMMON = {"agg_param", "agg_result", "agg_shares", "ctx", "operations", "reports", "verify_key"}


def vector_paths(folder: Path = FOLDER) -> list[Path]:
    """Every vector of a Prio3 type in the folder, so that new vectors are included."""
    return sorted(folder.glob("Prio3*.json"))


class Replay:
    """One vector on one implementation."""

    def __init__(self, implementation: Implementation, name: str, vector: Mapping[str, Any]) -> None:
        """`name` is the file's name; the part before its first underscore is the type."""
        self.implementation = implementation
        self.vector = vector
        parameters = {key: value for key, value in vector.items() if key not in COMMON}
        self.instance: Instance = implementation.make(name.split("_")[0], parameters)
        self.ctx = bytes.fromhex(vector["ctx"])
        self.states: dict[tuple[int, int], Any] = {}

    @classmethod
    def of_file(cls, implementation: Implementation, path: Path) -> Replay:
        return cls(implementation, path.stem, json.loads(path.read_text()))

    def run(self) -> None:
        """Every operation in its order; a failed expectation is an AssertionError that names it."""
        assert self.vector["agg_param"] == "", "Prio3 has no aggregation parameter"
        for operation in self.vector["operations"]:
            step = getattr(self, operation["operation"])
            arguments = {key: value for key, value in operation.items() if key not in ("operation", "success")}
            if operation["success"]:
                step(**arguments)
            else:
                with pytest.raises(self.implementation.refused):
                    step(**arguments)

    def shard(self, report_index: int) -> None:
        report = self.vector["reports"][report_index]
        public_share, input_shares = self.instance.shard(
            self.ctx, report["measurement"], bytes.fromhex(report["nonce"]), bytes.fromhex(report["rand"])
        )
        assert public_share.hex() == report["public_share"]
        assert [share.hex() for share in input_shares] == report["input_shares"]

    def verify_init(self, report_index: int, aggregator_id: int) -> None:
        report = self.vector["reports"][report_index]
        state, verifier_share = self.instance.verify_init(
            bytes.fromhex(self.vector["verify_key"]),
            self.ctx,
            aggregator_id,
            bytes.fromhex(report["nonce"]),
            bytes.fromhex(report["public_share"]),
            bytes.fromhex(report["input_shares"][aggregator_id]),
        )
        assert verifier_share.hex() == report["verifier_shares"][0][aggregator_id]
        self.states[report_index, aggregator_id] = state

    def verifier_shares_to_message(self, report_index: int, round: int) -> None:  # noqa: A002  # the schema's word
        report = self.vector["reports"][report_index]
        shares = [bytes.fromhex(share) for share in report["verifier_shares"][round]]
        message = self.instance.verifier_shares_to_message(self.ctx, shares)
        assert message.hex() == report["verifier_messages"][round]

    def verify_next(self, report_index: int, aggregator_id: int, round: int) -> None:  # noqa: A002
        report = self.vector["reports"][report_index]
        message = bytes.fromhex(report["verifier_messages"][round - 1])
        out_share = self.instance.verify_next(self.ctx, self.states[report_index, aggregator_id], message)
        assert out_share.hex() == report["out_shares"][aggregator_id]

    def aggregate(self, aggregator_id: int) -> None:
        out_shares = [bytes.fromhex(report["out_shares"][aggregator_id]) for report in self.vector["reports"]]
        assert self.instance.aggregate(out_shares).hex() == self.vector["agg_shares"][aggregator_id]

    def unshard(self) -> None:
        agg_shares = [bytes.fromhex(share) for share in self.vector["agg_shares"]]
        assert self.instance.unshard(agg_shares, len(self.vector["reports"])) == self.vector["agg_result"]
