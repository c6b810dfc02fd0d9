"""Fully linear proofs: a client shows that its encoded measurement is valid, to servers that hold only shares of it.

(draft-irtf-cfrg-vdaf, VERSION 18, sections 7.1 and 7.3.) A *circuit* (`circuit`, `variants`) says what is valid. Its
only multiplications are the calls of a *gadget* (`gadgets`). `proof` proves, queries and decides for any circuit over
either field, for whole batches. `soundness` bounds the chance that an invalid measurement passes.
"""
