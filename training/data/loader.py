"""`FeatureLoader`: a DataLoader of a `FeatureDataset` that saves its position and reports dead workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch.utils.data import DataLoader

from training.errors import LoaderWorkerDied

from .dataset import Batch, FeatureDataset


class FeatureLoader(DataLoader[Batch]):
    """`DataLoader(dataset, batch_size=None)` with a state. It counts batches itself, so the state is right with workers.

    Args:
        num_workers: number of reading processes; 0 reads ahead in a thread, which is the fastest.
        epoch: returns the epoch at the start of each iteration; None: the dataset's own epoch.
    """

    dataset: FeatureDataset

    def __init__(
        self,
        dataset: FeatureDataset,
        *,
        num_workers: int = 0,
        pin_memory: bool = False,
        multiprocessing_context: str | None = None,
        epoch: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(
            dataset,
            batch_size=None,
            num_workers=num_workers,
            pin_memory=pin_memory,
            multiprocessing_context=multiprocessing_context,
        )
        self._epoch_of = epoch

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # torch names the private class of its iterators
        """Yield the batches of this process in this epoch. Raises LoaderWorkerDied during the iteration."""
        if self._epoch_of is not None:
            self.dataset.set_epoch(self._epoch_of())
        if self.num_workers:
            self.dataset.lend()
        batches = super().__iter__()
        if self.num_workers:
            self.dataset.begin()  # without workers the dataset begins by itself
        return self._counted(batches)

    def _counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        try:
            for batch in batches:
                if self.num_workers:
                    self.dataset.count()
                yield batch
            return
        except (RuntimeError, EOFError, OSError) as error:
            if not self.num_workers or not _means_a_dead_worker(error):
                raise
            reason = str(error) or type(error).__name__
        del batches  # torch would raise its error again whenever a child process ends
        raise LoaderWorkerDied(
            f"a worker process ended before its last batch ({reason}). num_workers=0 needs no worker processes"
        )

    def state_dict(self) -> dict[str, Any]:
        """See `FeatureDataset.state_dict`."""
        return self.dataset.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `FeatureDataset.load_state_dict`."""
        self.dataset.load_state_dict(state)


def _means_a_dead_worker(error: Exception) -> bool:
    """Return whether torch reports a dead worker, or the connection that passes a worker's memory has ended.

    An error inside a worker keeps its type, and its text begins with "Caught".
    """
    text = str(error)
    if isinstance(error, RuntimeError):
        return text.startswith("DataLoader worker (pid")
    return isinstance(error, EOFError | ConnectionError | FileNotFoundError) and not text.startswith("Caught")
