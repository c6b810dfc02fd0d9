"""What `benchmarks.flower` compares with: Flower's plain round trip. Each node answers with so many bytes, and nothing is done.

The answers are fetched by the loop that fetches those of sites (`aggregator.sites.ask_sites`).
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from aggregator.sites import ask_sites

SECONDS = 900.0
server = ServerApp()
client = ClientApp()


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Ask every node once; write when it was asked, when all had answered, and how many bytes came."""
    config = context.run_config
    asked = time.time()
    answers = list(
        ask_sites(
            grid,
            bytes(int(config["ask"])),
            sites=int(config["nodes"]),
            seconds=SECONDS,
            clock=time.monotonic,
            sleep=time.sleep,
        )
    )
    told = {
        "asked": asked,
        "answered": time.time(),
        "answers": sum(answer.code == "OK" for answer in answers),
        "bytes": sum(len(batch) for answer in answers for batch in answer.batches),
    }
    result = Path(str(config["result"]))
    partial = result.with_suffix(".partial")
    partial.write_text(json.dumps(told), encoding="utf-8")
    partial.replace(result)


@client.query()
def echo(message: Message, context: Context) -> Message:
    """So many zeros."""
    zeros = Array(np.zeros(int(context.run_config["answer"]), np.uint8))
    answer = ConfigRecord({"code": "OK", "site": ""})
    return Message(RecordDict({"answer": answer, "batches": ArrayRecord({"0": zeros})}), reply_to=message)
