from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
lightning = pytest.importorskip("lightning", reason="lightning is not installed")

from covey.lightning import FeatureDataModule  # noqa: E402
from tests.training.data.training import WIDTH, dataset_arguments, make_labels, make_store  # noqa: E402
from training.errors import TooMuchMissing, TrainingArgument  # noqa: E402

ROWS = 203

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),  # the dataset reads ahead in a thread
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings(
        "ignore:.*`IterableDataset` has `__len__` defined"
    ),  # the length is that of a rank, whatever its workers
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


class Model(lightning.LightningModule):
    """A linear model that records the rows that it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(WIDTH, 1)
        self.seen: dict[str, list[tuple[int, list[int]]]] = {"train": [], "val": [], "test": []}

    def _loss(self, part: str, batch: Any) -> Any:
        self.seen[part].append((self.current_epoch, batch["meta"]["row"][batch["weight"] == 1].tolist()))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            self.linear(batch["x"])[:, 0], batch["y"], reduction="none"
        )
        return (batch["weight"] * loss).sum() / batch["weight"].sum().clamp(min=1)

    def training_step(self, batch: Any) -> Any:
        return self._loss("train", batch)

    def validation_step(self, batch: Any) -> None:
        self._loss("val", batch)

    def test_step(self, batch: Any) -> None:
        self._loss("test", batch)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=1e-6)

    def rows(self, part: str, epoch: int) -> list[int]:
        """The rows of one epoch, in the order of reading."""
        return [row for number, rows in self.seen[part] if number == epoch for row in rows]


def trainer(directory: Path, **more: Any) -> Any:
    usual: dict[str, Any] = {
        "default_root_dir": directory,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }
    return lightning.Trainer(**(usual | more))


def test_a_model_trains_on_rows_before_the_split_in_another_order_each_epoch(store: Path, tmp_path: Path) -> None:
    labels = make_labels(ROWS)
    moments = {"validate_from": labels["at"][100].as_py(), "test_from": labels["at"][150].as_py()}
    data = FeatureDataModule(store, **moments, **dataset_arguments(tmp_path, labels))
    model, trains = Model(), trainer(tmp_path, max_epochs=2)
    trains.fit(model, datamodule=data)
    trains.test(model, datamodule=data, verbose=False)
    first, second = model.rows("train", 0), model.rows("train", 1)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert model.rows("val", 0) == list(range(100, 150))
    assert [row for _, rows in model.seen["test"] for row in rows] == list(range(150, ROWS))
    assert data.dataset.report.rows == ROWS
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_training_that_was_cut_off_goes_on_with_the_next_batch(store: Path, tmp_path: Path) -> None:
    labels = make_labels(ROWS)

    def data() -> FeatureDataModule:
        return FeatureDataModule(store, **dataset_arguments(tmp_path, labels))

    class Saving(lightning.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step == 18:  # the fifth of 13 batches of the second epoch
                trainer.save_checkpoint(tmp_path / "part.ckpt")

    whole, second = Model(), Model()
    trainer(tmp_path, max_epochs=2, callbacks=[Saving()]).fit(whole, datamodule=data())
    trainer(tmp_path, max_epochs=2).fit(second, datamodule=data(), ckpt_path=tmp_path / "part.ckpt", weights_only=False)
    assert whole.rows("train", 1)[: 5 * 16] + second.rows("train", 1) == whole.rows("train", 1)


def test_a_module_without_moments_only_trains(store: Path, tmp_path: Path) -> None:
    data = FeatureDataModule(store, **dataset_arguments(tmp_path, make_labels(ROWS)), shuffle=False)
    model = Model()
    trainer(tmp_path, max_epochs=1).fit(model, datamodule=data)
    assert model.rows("train", 0) == [*range(ROWS)]
    assert not model.seen["val"]
    assert [row for batch in data.train_dataloader() for row in batch["meta"]["row"].tolist() if row >= 0] == [
        *range(ROWS)
    ]


def test_what_cannot_be_is_refused(store: Path, tmp_path: Path) -> None:
    labels = make_labels(ROWS)
    moment = labels["at"][100].as_py()
    with pytest.raises(TrainingArgument, match="must be before"):
        FeatureDataModule(
            store, validate_from=moment, test_from=moment.replace(tzinfo=None), **dataset_arguments(tmp_path, labels)
        )
    with pytest.raises(TooMuchMissing):
        FeatureDataModule(store, **dataset_arguments(tmp_path, labels, max_missing=0.01)).prepare_data()
