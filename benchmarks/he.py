"""The cost of BFV for site, leader and key holder, compared with the CKKS settings of NVFlare.

    python -m benchmarks.he

Medians of the CPU time of one thread; the two libraries take turns. Reports have 16,384 slots, which fill whole ciphertexts of
both sides, so no figure counts padding.

* `encrypt_us_per_value`: from int64 slots to the bytes of the wire. NVFlare: `ckks_vector` of the same values and its
  `serialize`, at N = 8192, chain 60-40-40 and scale 2^40.
* `add_us_per_value`: from the bytes of a report to the sum: parsed, every coefficient checked, added.
  `tenseal_add_us_per_value` is TenSEAL's `add_` of loaded vectors; `tenseal_load_add_us_per_value` includes its own parsing,
  which is unsafe for foreign bytes.
* `decrypt_us_per_value`: a sum opened, range check included.
* `encrypt_scaling_2_cores`: reports a second in two processes over those in one, by the wall clock.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import tenseal
from rich.console import Console
from rich.table import Table

from crypto.bfv import CiphertextSum, PublicKey, finish, message_bytes, public_key_bytes
from crypto.bfv_parameters import BfvParameters, leak_rho
from crypto.bfv_seal import public_context_bytes
from crypto.bfv_secret import SecretKey
from crypto.noise import SeededNoise
from edge_client.encrypting import WORTH_IT, encrypting
from simulations.measuring import WALL, medians, print_figures

SLOTS = 16_384
SCALING_REPORTS, SCALING_TURNS = 60, 5
WISH = (10_000, 0, 2**16 - 1, Fraction(100**2), SLOTS)
NVFLARE = (8192, [60, 40, 40], 2**40)  # defaults of its HEBuilder


def scaling(key: PublicKey) -> tuple[float, float]:
    """Measure encrypted reports a second of a site, in (one process, two): medians of alternating turns."""
    values = np.tile(np.arange(SLOTS, dtype=np.int64), (SCALING_REPORTS, 1))
    with encrypting(key.parameters, SCALING_REPORTS, 1) as one, encrypting(key.parameters, WORTH_IT, 2) as two:
        for encrypt in (one, two):
            encrypt(key, values[:2])  # starts the child processes
        seconds = medians(lambda: one(key, values), lambda: two(key, values), clock=WALL, turns=SCALING_TURNS)
    return SCALING_REPORTS / seconds[0], SCALING_REPORTS / seconds[1]


def main() -> None:
    """Print the table and, last, one JSON object."""
    parameters = BfvParameters.choose(*WISH)
    secret = SecretKey.generate(parameters)
    key = PublicKey.from_bytes(parameters, secret.public.to_bytes())
    values = np.random.default_rng(1).integers(0, 2**16, SLOTS)
    floats = (values / 2**16).tolist()
    report = key.encrypt(values).to_bytes()
    total = CiphertextSum(parameters, key.key_id)

    degree, chain, scale = NVFLARE
    ckks = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS,
        degree,
        coeff_mod_bit_sizes=chain,
        encryption_type=tenseal.ENCRYPTION_TYPE.SYMMETRIC,  # as in its HEBuilder
        n_threads=1,
    )
    ckks.global_scale = scale
    nvflare_bytes = len(tenseal.ckks_vector(ckks, floats[: degree // 2]).serialize()) / (degree // 2)

    bfv = tenseal.context(
        tenseal.SCHEME_TYPE.BFV, parameters.degree, parameters.plain_modulus, list(parameters.prime_bits), n_threads=1
    )
    parts = [tenseal.bfv_vector(bfv, part.tolist()) for part in values.reshape(-1, parameters.degree)]
    running = [part.copy() for part in parts]
    stored = [part.serialize() for part in parts]

    def nvflare_encrypt() -> None:
        for start in range(0, SLOTS, degree // 2):
            tenseal.ckks_vector(ckks, floats[start : start + degree // 2]).serialize()

    def tenseal_add() -> None:
        for into, part in zip(running, parts, strict=True):
            into.add_(part)

    def tenseal_load_add() -> None:
        for into, data in zip(running, stored, strict=True):
            into.add_(tenseal.bfv_vector_from(bfv, data))

    encrypt, nvflare = medians(lambda: key.encrypt(values).to_bytes(), nvflare_encrypt)
    add, library_add, library_load_add = medians(lambda: total.add(report), tenseal_add, tenseal_load_add)
    zeros = np.zeros(SLOTS, np.int64)
    finished = finish(key, total, zeros, SeededNoise(1, "flood"))
    decrypt, finishing = medians(
        lambda: secret.open_sum(finished), lambda: finish(key, total, zeros, SeededNoise(1, "flood"))
    )
    one, two = scaling(key)
    context, full_context = public_context_bytes(parameters)

    per = 1e6 / SLOTS
    bytes_per_value = message_bytes(parameters) / SLOTS
    title = (
        f"BFV, {SLOTS:,} slots, {parameters.max_clients:,} clients: N = {parameters.degree}, chain {parameters.prime_bits}, "
        f"t of {parameters.plain_modulus.bit_length()} bits, leak {leak_rho(parameters):.1e} rho an opening"
    )
    table = Table("figure", "ours", "compared with", title=title)
    table.add_row("bytes a value", f"{bytes_per_value:.3f}", f"NVFlare's CKKS {nvflare_bytes:.1f}")
    table.add_row("encrypt, us a value", f"{encrypt * per:.4f}", f"NVFlare's CKKS {nvflare * per:.4f}")
    library = f"TenSEAL add_ {library_add * per:.4f}, with loading {library_load_add * per:.4f}"
    table.add_row("check and add, us a value", f"{add * per:.4f}", library)
    table.add_row("leader's noise and flooding, us a value", f"{finishing * per:.4f}", "once a pane")
    table.add_row("decrypt, us a value", f"{decrypt * per:.4f}", "once a pane")
    table.add_row(
        "public key, bytes", f"{public_key_bytes(parameters):,}", f"TenSEAL {context:,}, with all keys {full_context:,}"
    )
    table.add_row("reports/s in two processes", f"{two:.1f}", f"in one {one:.1f}")
    Console(width=140).print(table)
    print_figures(
        {
            "bytes_per_value": round(bytes_per_value, 3),
            "nvflare_bytes_per_value": round(nvflare_bytes, 2),
            "encrypt_us_per_value": round(encrypt * per, 4),
            "nvflare_encrypt_us_per_value": round(nvflare * per, 4),
            "add_us_per_value": round(add * per, 5),
            "tenseal_add_us_per_value": round(library_add * per, 5),
            "tenseal_load_add_us_per_value": round(library_load_add * per, 5),
            "finish_us_per_value": round(finishing * per, 4),
            "decrypt_us_per_value": round(decrypt * per, 4),
            "encrypt_scaling_2_cores": round(two / one, 2),
            "public_key_bytes": public_key_bytes(parameters),
            "tenseal_public_context_bytes": context,
            "tenseal_full_context_bytes": full_context,
            "leak_rho": leak_rho(parameters),
        }
    )


if __name__ == "__main__":
    main()
