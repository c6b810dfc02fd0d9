"""The adapter to TenSEAL: keys, encryption, decryption of single ciphertexts. No other module of the protocol calls it.
(The lab, which measures TenSEAL's CKKS, calls TenSEAL directly.)

TenSEAL reads and writes objects as bytes only: protobuf around SEAL's own format. Bytes from the network never reach its
parsers, which crash on some inputs and accept wrong ones. This module assembles every object that it loads from three
parts made on this machine: the frame of an object that the library wrote itself (the *template*), a length, and
coefficients, each of which `crypto.bfv_wire` has checked to be below its prime.

SEAL's format (its `Serialization`, `Ciphertext::save_members`, `Plaintext::save_members`; uncompressed):

    16 bytes   magic 5E A1, 10, major, minor, compression, two zeros, u64 length of it all
    a ciphertext or public key                      a secret key
    32         id of the parameters                 32   id of the parameters
    1          in NTT form?                         8    u64 number of coefficients
    8 8 8      u64 polynomials, N, primes           8    f64 scale
    8 8        f64 scale, u64 correction factor
    16 8       header and u64 length of an array    16 8 header and u64 length of an array
    8 ...      coefficients, [polynomial][prime][N] 8 ...

SEAL compresses its output by zstd; assembled objects are not compressed.

All randomness of keys and ciphertexts is TenSEAL's own: SEAL seeds its generator (Blake2xb) from the operating
system for each object, and there is no way to pass a seed in. So keys and ciphertexts cannot be reproduced from a seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from base.errors import ExtraMissing

from .bfv_parameters import BfvParameters, Slots
from .bfv_wire import Polynomials
from .errors import LibraryUnknown

_HEADER = 16
_MAGIC = b"\x5e\xa1\x10"
_COMPRESSION_AT, _ZSTD = 5, 2
_CIPHERTEXT_HEAD = 32 + 1 + 5 * 8 + _HEADER + 8
_SECRET_HEAD = 32 + 2 * 8 + _HEADER + 8
# Fields of TenSEAL's protobuf messages.
_VECTOR_CIPHERTEXTS = 2
_CONTEXT_PUBLIC, _CONTEXT_PRIVATE = 2, 3
_PUBLIC_KEY, _SECRET_KEY = 1, 1
_VARINT, _FIXED64, _BYTES = 0, 1, 2


class SealContext:
    """A TenSEAL context for these parameters, with a public key and, at the key holder, the secret key.

    Calls hold the GIL. A context belongs to one thread. A process that is forked after its use may hang, so spawn processes.
    """

    def __init__(self, parameters: BfvParameters, context: Any) -> None:
        self.parameters = parameters
        self._tenseal = _library("tenseal")
        self._context = context
        sample = self._tenseal.bfv_vector(context, [0] * parameters.degree).serialize()
        self._fields = list(_fields(sample))
        self._template = _Blob(_only(self._fields, _VECTOR_CIPHERTEXTS), _CIPHERTEXT_HEAD)
        primes = len(parameters.data_moduli)
        self._shape = 2, primes, parameters.degree
        if self._template.words.size != 2 * primes * parameters.degree:
            raise LibraryUnknown("tenseal", f"a ciphertext of {self._template.words.size} coefficients")

    @classmethod
    def generate(cls, parameters: BfvParameters) -> SealContext:
        """Run by the key holder: a fresh key pair."""
        return cls(parameters, _generate(parameters))

    @classmethod
    def public(cls, parameters: BfvParameters, key: Polynomials) -> SealContext:
        """A context that can encrypt, for the public key uint64[2, primes of the chain, N] (checked, in NTT form)."""
        return cls(parameters, _rebuilt(parameters, key, None))

    @classmethod
    def secret(cls, parameters: BfvParameters, key: Polynomials, secret: Polynomials) -> SealContext:
        """A context that can decrypt too: the secret key is uint64[1, primes of the chain, N] (checked, in NTT form)."""
        return cls(parameters, _rebuilt(parameters, key, secret))

    def public_key(self) -> Polynomials:
        """uint64[2, primes of the chain, N] in NTT form."""
        fields = list(_fields(_public_bytes(self._context)))
        blob = _Blob(_only(list(_fields(_only(fields, _CONTEXT_PUBLIC))), _PUBLIC_KEY), _CIPHERTEXT_HEAD)
        return blob.words.reshape(2, len(self.parameters.moduli), self.parameters.degree)

    def secret_key(self) -> Polynomials:
        """uint64[1, primes of the chain, N] in NTT form. **Secret.**"""
        fields = list(_fields(_private_bytes(self._context)))
        blob = _Blob(_only(list(_fields(_only(fields, _CONTEXT_PRIVATE))), _SECRET_KEY), _SECRET_HEAD)
        return blob.words.reshape(1, len(self.parameters.moduli), self.parameters.degree)

    def encrypt(self, values: Slots) -> Polynomials:
        """One fresh ciphertext, uint64[2, k, N], of int64[N] in (-t/2, t/2)."""
        vector = self._tenseal.bfv_vector(self._context, values.tolist())
        blob = _Blob(_only(list(_fields(vector.serialize())), _VECTOR_CIPHERTEXTS), _CIPHERTEXT_HEAD)
        return blob.words.reshape(self._shape)

    def decrypt(self, ciphertext: Polynomials) -> Slots:
        """int64[N], signed, of one ciphertext with coefficients in range."""
        data = _replaced(self._fields, _VECTOR_CIPHERTEXTS, self._template.with_words(ciphertext))
        vector = self._tenseal.bfv_vector_from(self._context, data)
        return np.array(vector.decrypt(), np.int64)


class _Blob:
    """A SEAL object that this machine's library wrote, taken apart: the head of its members, and its coefficients."""

    def __init__(self, data: bytes, head: int) -> None:
        if data[:3] != _MAGIC or data[_COMPRESSION_AT] not in (0, _ZSTD):
            raise LibraryUnknown("tenseal", "a header that is not SEAL's")
        self._header, body = data[:_HEADER], data[_HEADER:]
        if data[_COMPRESSION_AT] == _ZSTD:
            body = _library("zstandard").ZstdDecompressor().decompressobj().decompress(body)
        self._head = body[:head]
        self.words: Polynomials = np.frombuffer(body, "<u8", offset=head) if len(body) % 8 == head % 8 else _EMPTY
        if int.from_bytes(self._head[-8:], "little") != self.words.size or not self.words.size:
            raise LibraryUnknown("tenseal", "an array of another length than its object's")

    def with_words(self, words: Polynomials) -> bytes:
        """The same object, uncompressed, with other coefficients of the same number."""
        data = words.astype("<u8", copy=False).tobytes()
        length = (_HEADER + len(self._head) + len(data)).to_bytes(8, "little")
        header = self._header[:_COMPRESSION_AT] + bytes(3) + length
        return header + self._head + data


_EMPTY = np.empty(0, np.uint64)


def _generate(parameters: BfvParameters) -> Any:
    """A context with a fresh key pair. Raises LibraryUnknown if the library chose other primes than `BfvParameters`."""
    tenseal = _library("tenseal")
    context = tenseal.context(
        tenseal.SCHEME_TYPE.BFV,
        parameters.degree,
        parameters.plain_modulus,
        list(parameters.prime_bits),
        n_threads=1,  # more threads bring no speed and make forks hang
    )
    _require_moduli(parameters, _public_bytes(context))
    return context


@lru_cache(maxsize=16)
def _throwaway(parameters: BfvParameters, *, private: bool) -> bytes:
    """The bytes of a context as TenSEAL writes them. `_rebuilt` puts other keys in place of its keys, which are never used.

    The bytes are kept, because TenSEAL generates a key pair to make them.
    """
    context = _generate(parameters)
    return _private_bytes(context) if private else _public_bytes(context)


def _rebuilt(parameters: BfvParameters, key: Polynomials, secret: Polynomials | None) -> Any:
    """A context with these keys: they replace those of a throwaway context."""
    tenseal = _library("tenseal")
    fields = list(_fields(_throwaway(parameters, private=secret is not None)))
    public = list(_fields(_only(fields, _CONTEXT_PUBLIC)))
    blob = _Blob(_only(public, _PUBLIC_KEY), _CIPHERTEXT_HEAD).with_words(key)
    data = _replaced(fields, _CONTEXT_PUBLIC, _replaced(public, _PUBLIC_KEY, blob))
    if secret is not None:
        fields = list(_fields(data))
        private = list(_fields(_only(fields, _CONTEXT_PRIVATE)))
        blob = _Blob(_only(private, _SECRET_KEY), _SECRET_HEAD).with_words(secret)
        data = _replaced(fields, _CONTEXT_PRIVATE, _replaced(private, _SECRET_KEY, blob))
    return tenseal.context_from(data, n_threads=1)


def _public_bytes(context: Any) -> bytes:
    """TenSEAL's form of a context without secret, Galois and relinearisation keys."""
    return bytes(context.serialize(True, False, False, False))


def _private_bytes(context: Any) -> bytes:
    """The same with the secret key. **Secret.**"""
    return bytes(context.serialize(True, True, False, False))


def public_context_bytes(parameters: BfvParameters) -> tuple[int, int]:
    """Bytes of TenSEAL's public context: (without Galois and relinearisation keys, with both). For the benchmark."""
    context = _generate(parameters)
    context.generate_relin_keys()
    context.generate_galois_keys()
    return len(_public_bytes(context)), len(context.serialize(True, False, True, True))


def _require_moduli(parameters: BfvParameters, context: bytes) -> None:
    """Raise LibraryUnknown unless the context has these primes; its first field holds them, each in its own header."""
    data = _only(list(_fields(context)), 1)
    body = data[_HEADER:]
    if data[_COMPRESSION_AT] == _ZSTD:
        body = _library("zstandard").ZstdDecompressor().decompressobj().decompress(body)
    for modulus in (*parameters.moduli, parameters.plain_modulus):
        if modulus.to_bytes(8, "little") not in body:
            raise LibraryUnknown("tenseal", f"other primes than {parameters.moduli}")


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(number, wire type, content) of a protobuf message that this machine wrote."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind == _VARINT:
            size = _varint(message, at)[1] - at
        elif kind == _FIXED64:
            size = 8
        else:
            raise LibraryUnknown("tenseal", f"protobuf wire type {kind}")
        yield number, kind, message[at : at + size]
        at += size


def _only(fields: list[tuple[int, int, bytes]], number: int) -> bytes:
    """The content of the one field of this number."""
    found = [content for field, kind, content in fields if field == number and kind == _BYTES]
    if len(found) != 1:
        raise LibraryUnknown("tenseal", f"{len(found)} fields {number}")
    return found[0]


def _replaced(fields: list[tuple[int, int, bytes]], number: int, content: bytes) -> bytes:
    """The message of these fields, with other content in the one of this number."""
    parts = []
    for field, kind, old in fields:
        new = content if field == number else old
        parts += [_to_varint(field << 3 | kind), _to_varint(len(new)) if kind == _BYTES else b"", new]
    return b"".join(parts)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """(value, place after it)."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _to_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def require_installed() -> None:
    """Raise ExtraMissing if the libraries for encryption are not installed. Call it before anything depends on them."""
    for name in ("tenseal", "zstandard"):
        _library(name)


def _library(name: str) -> Any:
    """tenseal or zstandard, imported at first use: a site without HE needs neither. Raises ExtraMissing."""
    try:
        if name == "tenseal":
            import tenseal

            return tenseal
        import zstandard
    except ImportError as missing:
        raise ExtraMissing("encryption", name, "he") from missing
    return zstandard
