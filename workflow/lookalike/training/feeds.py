"""What a network is fed with while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lookalike.embedding.forward import embed_pixels, for_device
from lookalike.embedding.heads import apply_head
from lookalike.images.normalisation import scale, standardise
from lookalike.images.resizing import ImageSettings
from lookalike.storage.rows import RowSource, Selected
from lookalike.training.augmentation import augment, build_augmentation
from lookalike.training.decisive import DataFacts
from lookalike.training.decks import Indices


class Feed(Protocol):
    """Training images by their row, in whatever form the trained network takes them."""

    def load(self, rows: Indices) -> Tensor:
        """What is kept of some images, on the CPU: from there it is copied to the device."""

    def inputs(self, loaded: Tensor, seed: int, part: slice, n: int) -> Tensor:
        """What the network takes in a step, on its device, changed at random.

        Args:
            loaded: as `load` gave it.
            seed: the changes depend on it and on nothing else.
            part: where these images stand in the batch, of which other processes may have the rest.
            n: images in the batch.
        """

    def embed(self, model: nn.Module, rows: Indices) -> NDArray[np.float32]:
        """Embeddings of some images as they are, float32 [n, d], n at least 1."""


@dataclass(frozen=True)
class PixelFeed:
    """Decoded images for a whole network.

    Attributes:
        pixels: uint8 [n, size, size, 3].
        image: how pixels become the network's input.
        transform: of `build_augmentation`.
        device: of the network.
    """

    pixels: RowSource
    image: ImageSettings
    transform: nn.Module | None
    device: torch.device

    def load(self, rows: Indices) -> Tensor:
        """Pixels: uint8 [n, size, size, 3]."""
        return for_device(self.pixels[rows], self.device)

    def inputs(self, loaded: Tensor, seed: int, part: slice, n: int) -> Tensor:
        """Images changed at random and normalised: float32 [n, 3, size, size]."""
        there = loaded.to(self.device, non_blocking=loaded.is_pinned())
        return standardise(augment(scale(there), self.transform, seed, part, n), self.image)

    def embed(self, model: nn.Module, rows: Indices) -> NDArray[np.float32]:
        """See `Feed`."""
        return embed_pixels(model, Selected(self.pixels, rows), self.image)


@dataclass(frozen=True)
class FeatureFeed:
    """Kept features for a head.

    Attributes:
        features: float32 [n, views, n_features]: of each image as it is, then of changed ones.
        device: of the head.
    """

    features: RowSource
    device: torch.device

    def load(self, rows: Indices) -> Tensor:
        """All views: float32 [n, views, n_features]."""
        return torch.from_numpy(self.features[rows])

    def inputs(self, loaded: Tensor, seed: int, part: slice, n: int) -> Tensor:
        """One view of each image: float32 [n, n_features]."""
        views = np.random.default_rng(seed).integers(loaded.shape[1], size=n)[part]
        return loaded[torch.arange(len(loaded)), torch.from_numpy(views)].to(self.device)

    def embed(self, model: nn.Module, rows: Indices) -> NDArray[np.float32]:
        """See `Feed`; of the images as they are."""
        return apply_head(model, self.features[rows][:, 0])


class TrainingSet(Protocol):
    """Labelled images, in whatever form the trained network takes them."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 [n], the class of each image."""

    @property
    def contents(self) -> NDArray[np.int64] | None:
        """int64 [n], equal where images are equal byte by byte; None: all differ."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, by their number in `labels`; None: their numbers."""

    @property
    def form(self) -> str:
        """What the network sees of them, for the log: `images at 224 px`."""

    @property
    def facts(self) -> DataFacts:
        """What decides which images are held out, where settings leave it to the data."""

    def feed(self, changes: Mapping[str, float], device: torch.device) -> Feed:
        """The images for a network on `device`, with a recipe's `augment` settings."""


@dataclass(frozen=True)
class TrainingData:
    """Images to train on.

    Attributes:
        pixels: uint8 [n, size, size, 3]; read a batch at a time.
        labels: int64 [n], the class of each image.
        image: how pixels become the network's input.
        contents: int64 [n], equal where images are equal byte by byte; None: all differ.
        closed_set: whether most queries are of these classes.
        classes: their names, by their number in `labels`; None: their numbers.
    """

    pixels: RowSource
    labels: NDArray[np.int64]
    image: ImageSettings
    contents: NDArray[np.int64] | None = None
    closed_set: bool = False
    classes: tuple[str, ...] | None = None

    @property
    def form(self) -> str:
        """See `TrainingSet`."""
        return f"images at {self.image.size} px"

    @property
    def facts(self) -> DataFacts:
        """See `TrainingSet`."""
        return _facts(self.labels, self.closed_set)

    def feed(self, changes: Mapping[str, float], device: torch.device) -> Feed:
        """The images for a network on `device`, with a recipe's `augment` settings."""
        transform = build_augmentation(changes, self.image.size)
        return PixelFeed(self.pixels, self.image, transform, device)


@dataclass(frozen=True)
class FeatureData:
    """Features to train a head on.

    Attributes:
        features: float32 [n, views, n_features], see `FeatureFeed`.
        labels: int64 [n], the class of each image.
        contents: int64 [n], equal where images are equal byte by byte; None: all differ.
        closed_set: whether most queries are of these classes.
        classes: their names, by their number in `labels`; None: their numbers.
    """

    features: RowSource
    labels: NDArray[np.int64]
    contents: NDArray[np.int64] | None = None
    closed_set: bool = False
    classes: tuple[str, ...] | None = None

    @property
    def form(self) -> str:
        """See `TrainingSet`."""
        return "images, by their features"

    @property
    def facts(self) -> DataFacts:
        """See `TrainingSet`."""
        return _facts(self.labels, self.closed_set)

    def feed(self, changes: Mapping[str, float], device: torch.device) -> Feed:
        """The features for a head on `device`; random changes are in them."""
        return FeatureFeed(self.features, device)


def _facts(labels: NDArray[np.int64], closed_set: bool) -> DataFacts:
    sizes = np.unique(labels, return_counts=True)[1]
    return DataFacts(int((sizes >= 2).sum()), int(sizes.max()), closed_set)
