"""Which versions of a model answer requests: the newest one, or pinned ones by weight. A name without promotions serves its newest.

A *promotion* pins versions, or lets the newest one serve again. A *rollback* brings back what was in force before the last change:
a promotion, or a registration that took over. It never brings back what an earlier rollback has removed. Nothing is overwritten:
both append a row to the registry, and these rows together with the registered versions say what was in force when.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeAlias, assert_never

from featurestore.errors import (
    ModelChanged,
    ModelInUse,
    NothingToRollBack,
    PromotionInvalid,
    StoreCorrupt,
    UnknownModel,
)

NEWEST: Final = "newest"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_VERSION: Final = re.compile(r"v([1-9][0-9]{0,8})")
_WEIGHTED: Final = re.compile(r"v([1-9][0-9]{0,8})=([0-9]{1,9}(?:\.[0-9]{1,12})?)")
_MOST_VERSIONS: Final = 100
"""A request is drawn among them one by one, and each is loaded in every worker of a server."""
_UNIT: Final = 2**53
"""The numbers below 1 that a float tells apart evenly."""


@dataclass(frozen=True)
class Newest:
    """The newest version serves; a new registration takes over by itself."""

    def __str__(self) -> str:
        return NEWEST


@dataclass(frozen=True)
class Weights:
    """Pinned versions of a model, each with its share of the requests.

    Attributes:
        model: its name. The same request is drawn independently for each model.
        shares: (version, share) by version, at least one; shares are positive and add up to 1.
    """

    model: str
    shares: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, model: str, weights: Mapping[int, float]) -> Self:
        """The shares of some versions by their weights, which need not add up to 1. Raises PromotionInvalid."""
        if not 0 < len(weights) <= _MOST_VERSIONS:
            raise PromotionInvalid(
                model, f"{len(weights)} versions cannot share the requests; name 1 to {_MOST_VERSIONS}"
            )
        for version, weight in weights.items():
            if version < 1 or not (math.isfinite(weight) and weight > 0):
                raise PromotionInvalid(model, f"v{version}={weight} is no weight; give a version and a positive number")
        total = math.fsum(weights.values())
        shares = tuple((version, weights[version] / total) for version in sorted(weights))
        if not all(share > 0 for _, share in shares):
            raise PromotionInvalid(model, "a weight is so small beside the others that its version gets no request")
        return cls(model, shares)

    @classmethod
    def single(cls, model: str, version: int) -> Self:
        """All requests for one version."""
        return cls(model, ((version, 1.0),))

    def __str__(self) -> str:
        if len(self.shares) == 1:
            return f"v{self.shares[0][0]}"
        return " ".join(f"v{version}={share:.4g}" for version, share in self.shares)

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions that share the requests, in order."""
        return tuple(version for version, _ in self.shares)

    @property
    def heaviest(self) -> int:
        """The version with the largest share; of several the newest."""
        return max(self.shares, key=lambda one: (one[1], one[0]))[0]

    def share(self, version: int) -> float:
        """The share of a version; 0: it gets no request."""
        return dict(self.shares).get(version, 0.0)

    def pick(self, ident: str) -> int:
        """The version that answers a request, by the hash of the request's id: the same id always gets the same version."""
        if len(self.shares) == 1:
            return self.shares[0][0]
        text = f"{self.model}\0{ident}".encode("utf-8", "surrogatepass")
        drawn = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) % _UNIT / _UNIT
        upper = 0.0
        for version, share in self.shares:
            upper += share
            if drawn < upper:
                return version
        return self.shares[-1][0]  # the shares add up to a little less than 1


Serving: TypeAlias = Newest | Weights


def parse_serving(model: str, words: Sequence[str]) -> Serving:
    """What a promotion asks for: `newest`, one version as `v2`, or weights as `v1=0.9 v2=0.1`. Raises PromotionInvalid."""
    if [*words] == [NEWEST]:
        return Newest()
    if len(words) == 1 and (single := _VERSION.fullmatch(words[0])):
        return Weights.single(model, int(single[1]))
    weights: dict[int, float] = {}
    for word in words:
        match = _WEIGHTED.fullmatch(word)
        if match is None:
            raise PromotionInvalid(model, f"{word[:80]!r} is unreadable; write {NEWEST}, v2, or v1=0.9 v2=0.1")
        if int(match[1]) in weights:
            raise PromotionInvalid(model, f"v{match[1]} is given twice")
        weights[int(match[1])] = float(match[2])
    return Weights.of(model, weights)


def serving_to_json(serving: Serving) -> str:
    """`"newest"`, or the share of each version."""
    match serving:
        case Newest():
            return json.dumps(NEWEST)
        case Weights():
            return json.dumps({str(version): share for version, share in serving.shares})
        case _:
            assert_never(serving)


def serving_from_json(model: str, text: str) -> Serving:
    """The inverse of `serving_to_json`. Raises StoreCorrupt."""
    damaged = StoreCorrupt(f"a promotion of model {model!r} cannot be read")
    try:
        read = json.loads(text)
        if read == NEWEST:
            return Newest()
        if not isinstance(read, dict) or not all(
            _NUMBER.fullmatch(version) and type(share) is float for version, share in read.items()
        ):
            raise damaged
        return Weights.of(model, {int(version): share for version, share in read.items()})
    except (ValueError, RecursionError, PromotionInvalid):
        raise damaged from None


@dataclass(frozen=True)
class Promotion:
    """A promotion or rollback.

    Attributes:
        newest: the newest version when it was made; 0: there was none.
        is_rollback: whether it brought back an earlier state.
        at: µs since the epoch.
    """

    serving: Serving
    newest: int
    is_rollback: bool
    at: int


@dataclass(frozen=True)
class _State:
    """Versions that were in force for a time, and what put them there."""

    weights: Weights
    serving: Serving


@dataclass(frozen=True)
class ModelHistory:
    """The versions of a name and its promotions: what is in force, and what was before.

    Attributes:
        versions: those that are not deleted, in order; at least one.
        promotions: from the first to the last.
    """

    model: str
    versions: tuple[int, ...]
    promotions: tuple[Promotion, ...]

    @property
    def newest(self) -> int:
        """The newest version."""
        return self.versions[-1]

    @property
    def stamp(self) -> str:
        """Another text after each change: 32 hex digits."""
        state = [self.versions, [(str(one.serving), one.newest, one.is_rollback, one.at) for one in self.promotions]]
        return hashlib.blake2b(json.dumps(state).encode(), digest_size=16).hexdigest()

    def require_unchanged(self, seen: str | None) -> None:
        """Return if a decision was made from this state. Raises ModelChanged.

        Args:
            seen: the stamp of the state that the caller has seen; None: any.
        """
        if seen not in (None, self.stamp):
            raise ModelChanged(self.model, str(self.in_force))

    @property
    def serving(self) -> Serving:
        """What the last promotion or rollback asks for."""
        return self.promotions[-1].serving if self.promotions else Newest()

    @property
    def in_force(self) -> Weights:
        """The versions that answer requests now."""
        return self.weights_of(self.serving)

    def weights_of(self, serving: Serving) -> Weights:
        """The versions that would answer requests if this was in force now."""
        return self._weights(serving, self.newest)

    def require_versions(self, serving: Serving) -> None:
        """Return if all versions of a promotion exist. Raises UnknownModel."""
        if isinstance(serving, Weights):
            for version in serving.versions:
                if version not in self.versions:
                    raise UnknownModel(f"{self.model}@v{version}", [f"{self.model}@v{one}" for one in self.versions])

    def require_deletable(self, version: int) -> None:
        """Return if a version can be deleted. Raises UnknownModel, ModelInUse: it answers requests."""
        self.require_versions(Weights.single(self.model, version))
        if self.in_force.share(version):
            raise ModelInUse(self.model, version, is_pinned=isinstance(self.serving, Weights))

    def before(self) -> Serving:
        """What a rollback brings back. Raises NothingToRollBack.

        It is `Newest` only if the newest version is still the one that was in force then; otherwise a rollback would put a
        version in force that never was. States with a deleted version are passed over.
        """
        *earlier, current = self._states()
        for state in reversed(earlier):
            if state.weights != current.weights and set(state.weights.versions) <= set(self.versions):
                again = self.weights_of(state.serving)
                return state.serving if again == state.weights else state.weights
        raise NothingToRollBack(self.model, str(self.in_force))

    def in_force_before(self) -> Weights:
        """The versions that a rollback would put in force. Raises NothingToRollBack."""
        return self.weights_of(self.before())

    def _states(self) -> list[_State]:
        """What was in force one after the other, without what was rolled back; the last is in force now."""
        states: list[_State] = []
        serving: Serving = Newest()
        newest = 0
        for one in self.promotions:
            states += self._taken_over(serving, newest, one.newest)
            weights = self._weights(one.serving, one.newest)
            if one.is_rollback:
                while states and states[-1].weights != weights:
                    states.pop()
            if not states or states[-1].weights != weights:
                states.append(_State(weights, one.serving))
            serving, newest = one.serving, one.newest
        return [*states, *self._taken_over(serving, newest, self.newest)]

    def _taken_over(self, serving: Serving, after: int, newest: int) -> list[_State]:
        """The registrations that took over by themselves, without versions that are deleted now."""
        if isinstance(serving, Weights):
            return []
        taken = [version for version in self.versions if after < version <= newest]
        return [_State(Weights.single(self.model, version), serving) for version in taken]

    def _weights(self, serving: Serving, newest: int) -> Weights:
        match serving:
            case Newest():
                return Weights.single(self.model, newest)
            case Weights():
                return serving
            case _:
                assert_never(serving)
