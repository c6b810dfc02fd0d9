"""A collection of a whole fleet under homomorphic encryption: one process plays clients, leader and key holder.

Reports are made block by block, encrypted and added at once. They are not signed and sealed, because that costs little
compared with encryption.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from crypto.bfv import PublicKey, message_bytes, message_elements
from crypto.bfv_parameters import BfvParameters, Slots
from crypto.noise import NOISE_KEY_BYTES, SecretNoise
from deployment.in_process.run import NoisePair
from edge_client.encrypting import encrypting
from federation.batch.reports import Reports
from federation.he.protocol import run_encrypted_collections
from federation.he.reports import Encrypt
from federation.plan import Plan
from simulations.fleets.arrivals import Arrivals
from simulations.fleets.block import Source
from simulations.measuring import Watch, peak_bytes

from .counted import CountedReports
from .run import FleetRun, FleetTerms, Progress, plan_of


def run_encrypted_fleet(
    fleet: FleetTerms,
    source: Source,
    arrivals: Arrivals,
    *,
    noise: NoisePair | None,
    progress: Progress = lambda *_: None,
) -> FleetRun:
    """Collect every day of a fleet under one plan, as `run_fleet` does. The helper's noise source is the key holder's.

    Answers that do not count are not encrypted; `batches` and `bytes_sent` count the ciphertexts of the other answers. Sums
    are flooded even without noise.

    Raises:
        RunRefused, HeImpossible: see `plan_of`. EncryptionFailed.
    """
    start, watch = time.perf_counter(), Watch()
    plan, _ = plan_of(fleet, source, noisy=noise is not None)
    counted = CountedReports(plan, source, arrivals, fleet.deadline_s)
    leader, key_holder = (None, None) if noise is None else (noise.leader, noise.helper)
    flood = SecretNoise(os.urandom(NOISE_KEY_BYTES)) if noise is None else noise.leader
    with watch.step("encrypt and add"), _encrypting(plan) as encrypt:
        batches = _batches(plan, counted, progress)
        opened = run_encrypted_collections(plan, batches, os.urandom, leader, key_holder, flood, encrypt)
    wall_s = time.perf_counter() - start
    return FleetRun(plan, opened, counted.truth, counted.tally, dict(watch.seconds), wall_s, peak_bytes())


def _batches(plan: Plan, counted: CountedReports, progress: Progress) -> Iterator[Reports]:
    """Yield the reports that count, in batches whose ciphertexts fit into memory."""
    most = plan.max_clients * plan.offsets[-1]
    done = 0
    for reports in counted:
        parameters = plan.he_parameters(plan.views[reports.view])
        for batch in reports.batches(message_elements(parameters)):
            yield batch
            counted.tally.batches += 1
            counted.tally.bytes_sent += len(batch.collection) * message_bytes(parameters)
            done += len(batch.collection)
            progress("encrypt", done, most)
    progress("encrypt", done, done)


@contextmanager
def _encrypting(plan: Plan) -> Iterator[Encrypt]:
    """Make an `Encrypt` for all views of a plan. A view with much work gets its own processes."""
    most = {plan.he_parameters(one): plan.max_clients * len(one.pane_starts) for one in plan.views}
    of_view: dict[BfvParameters, Encrypt] = {}
    with ExitStack() as stack:

        def encrypt(key: PublicKey, values: Slots) -> Sequence[bytes]:
            parameters = key.parameters
            if parameters not in of_view:
                of_view[parameters] = stack.enter_context(encrypting(parameters, most[parameters]))
            return of_view[parameters](key, values)

        yield encrypt
