"""The fourth step: put the new version in force, unless it is worse than the one that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from base.times import wall_clock
from featurestore.publish.model_versions import promote_unless_changed
from featurestore.registry.serving_versions import ModelHistory, Newest, Weights
from featurestore.store import Store
from training.fit.config import TrainConfig
from training.fit.deploy_sections import PromoteConfig

from .comparison import Difference, Incomparable, compare, decide
from .step import Inputs, Made, Progress, digest

PROMOTE: Final = "promote"


@dataclass(frozen=True)
class PromoteStep:
    """Decide on a registered version, once: what a person promotes or rolls back afterwards stays.

    Attributes:
        version: the output of the registration, `name@v<n>`.
        trust: compare with a running version that may run code.
    """

    config: TrainConfig
    version: str
    trust: bool
    name = PROMOTE

    def inputs(self) -> Inputs:
        """The version and the rule."""
        return {"version": self.version, "[promote]": digest(_rule(self.config).model_dump())}

    def lost(self, output: str) -> str | None:
        """A decision is never lost: the version has it."""
        return None

    def run(self, progress: Progress) -> Made:
        """Compare with the running version, and promote or keep. Of several that run, the one with most requests counts.

        If what is in force changes meanwhile, for example by `covey models promote`, the decision is made again.
        """
        while (made := self._decided(progress)) is None:
            pass
        return made

    def _decided(self, progress: Progress) -> Made | None:
        """Decide, and promote; None: what is in force has changed since the comparison began."""
        name = self.config.name
        with Store.open(self.config.store) as store:
            new, history = store.model(self.version), store.model_history(name)
            rivals = [(share, version) for version, share in history.in_force.shares if version != new.version]
            running = store.model(f"{name}@v{max(rivals)[1]}") if rivals else None
        if running is None:
            if isinstance(history.serving, Newest) and not self._promoted(history.in_force, history):
                return None
            return Made("in force", f"{new} is {'in force' if len(history.versions) > 1 else 'the first version'}")
        progress(name, "compare", 0, 1)
        compared = compare(self.config, new, running, trust=self.trust)
        progress(name, "compare", 1, 1)
        match compared:
            case Difference():
                decision = decide(_rule(self.config).rule, compared.ahead)
                promotes, why = decision.promotes, f"{compared}; {decision.why}"
            case Incomparable():
                promotes = not compared.serves
                why = f"{running} cannot be tested on these rows: {compared.why}"
            case _:
                assert_never(compared)
        if not promotes:
            if self._history() != history:
                return None
            stays = str(running) if len(history.in_force.shares) == 1 else f"{name} {history.in_force}"
            return Made("kept", f"{stays} stays in force. {new}: {why}")
        if not self._promoted(Weights.single(name, new.version), history):
            return None
        return Made("promoted", f"{new} replaces {running}: {why}")

    def _history(self) -> ModelHistory:
        with Store.open(self.config.store) as store:
            return store.model_history(self.config.name)

    def _promoted(self, weights: Weights, seen: ModelHistory) -> bool:
        return promote_unless_changed(self.config.store, self.config.name, weights, seen, wall_clock)


def _rule(config: TrainConfig) -> PromoteConfig:
    return PromoteConfig() if config.promote is None else config.promote
