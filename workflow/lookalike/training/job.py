"""What the train step is given: the same for one process and for each of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingJob:
    """All that the train step is given.

    Attributes:
        manifest: manifest/train.parquet.
        folder: of the training images; opened only where their pixels are not in the cache.
        trained: folder that the model goes to.
        untrained: folder that the same network before its first step goes to.
        history: history.parquet, a row an epoch.
        recipe_name: name under `recipes`.
        recipe: its settings, complete.
        image: the image settings it uses.
        seed: of weights, batches and augmentation.
        device: as in the settings.
        cache: the cache folder; the state of an unfinished training is kept there.
        pixel_store_gb: the largest store of decoded images; where they would take more, each batch
            is decoded as it is needed.
        code: digest of the code that trains.
        software: versions of the libraries it uses.
        closed_set: whether most queries are of classes that are trained on.
        threads: of the CPU, of all processes together.
        processes: that share each batch; more than one must be started by
            `lookalike.training.launch`.
    """

    manifest: str
    folder: str
    trained: str
    untrained: str
    history: str
    recipe_name: str
    recipe: Mapping[str, Any]
    image: Mapping[str, Any]
    seed: int
    device: str
    cache: str
    pixel_store_gb: float
    code: str
    software: Mapping[str, str]
    threads: int
    closed_set: bool = False
    processes: int = 1

    @property
    def threads_of_each(self) -> int:
        """Threads of the CPU that each process has."""
        return max(1, self.threads // self.processes)
