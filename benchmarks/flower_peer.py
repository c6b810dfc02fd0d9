"""The peer of `benchmarks.flower`: Flower's plain round trip. Each node only answers with a number of bytes.

    python -m benchmarks.flower_peer ASK ANSWER NODES RESULT

The loop that fetches answers of sites (`deployment.coordinator.sites.ask_sites`) also fetches these answers.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from base.atomic_files import replace_file
from deployment.coordinator.sites import ask_sites, plan_message
from deployment.local.simulated_fleet import BACKEND

SECONDS = 900.0
client = ClientApp()


@client.query()
def echo(message: Message, _context: Context) -> Message:
    """Return as many zeros as the message requests."""
    size = int.from_bytes(message.content["plan"]["encryption_keys"], "big")
    answer = ConfigRecord({"code": "OK", "site": ""})
    zeros = Array(np.zeros(size, np.uint8))
    return Message(RecordDict({"answer": answer, "batches": ArrayRecord({"0": zeros})}), reply_to=message)


def main(arguments: list[str]) -> None:
    """Ask every node once; write the time of the question, the time of the last answer, and the number of bytes."""
    server, result = ServerApp(), Path(arguments[3])
    ask, answer, nodes = map(int, arguments[:3])

    @server.main()
    def run(grid: Grid, _context: Context) -> None:
        asked = time.time()
        told = bytes(ask), answer.to_bytes(8, "big")
        answers = list(
            ask_sites(grid, plan_message(*told), sites=nodes, seconds=SECONDS, clock=time.monotonic, sleep=time.sleep)
        )
        found = {
            "asked": asked,
            "answered": time.time(),
            "answers": sum(one.code == "OK" for one in answers),
            "bytes": sum(len(batch) for one in answers for batch in one.batches),
        }
        replace_file(result, json.dumps(found), private=False, durable=False)

    run_simulation(server, client, nodes, backend_config=BACKEND)


if __name__ == "__main__":
    main(sys.argv[1:])
