"""`FeatureLoader`: a DataLoader of a `FeatureDataset` whose place can be saved, and whose dead workers have a name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch.utils.data import DataLoader

from training.errors import LoaderWorkerDied

from .dataset import Batch, FeatureDataset


class FeatureLoader(DataLoader[Batch]):
    """`DataLoader(dataset, batch_size=None)`, with a state: batches are counted here, so it holds with workers, too.

    Args:
        num_workers: processes that read; 0, which is the fastest, reads ahead in a thread.
        epoch: asked for the epoch each time that the batches are begun; None: the dataset's own.
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
        """The batches of this process in this epoch. As they are read, LoaderWorkerDied."""
        if self._epoch_of is not None:
            self.dataset.set_epoch(self._epoch_of())
        if self.num_workers:
            self.dataset.lend()
        batches = super().__iter__()
        if self.num_workers:
            self.dataset.begin()  # without workers it has begun by itself
        return self._counted(batches)

    def _counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        try:
            for batch in batches:
                if self.num_workers:
                    self.dataset.count()
                yield batch
            return
        except (RuntimeError, EOFError, OSError) as error:
            if not self.num_workers or not _tells_of_a_dead_worker(error):
                raise
            reason = str(error) or type(error).__name__
        del batches  # as long as it is there, torch raises its error again whenever any process of ours ends
        raise LoaderWorkerDied(f"a worker process ended before its batches did ({reason}); num_workers=0 needs none")

    def state_dict(self) -> dict[str, Any]:
        """See `FeatureDataset.state_dict`."""
        return self.dataset.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `FeatureDataset.load_state_dict`."""
        self.dataset.load_state_dict(state)


def _tells_of_a_dead_worker(error: Exception) -> bool:
    """Whether torch has noticed it, or the connection by which a worker hands over its memory has ended.

    An error that was raised inside a worker comes as what it was, its text beginning with "Caught".
    """
    text = str(error)
    if isinstance(error, RuntimeError):
        return text.startswith("DataLoader worker (pid")
    return isinstance(error, EOFError | ConnectionError | FileNotFoundError) and not text.startswith("Caught")
