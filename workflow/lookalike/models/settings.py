"""The settings of a network. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lookalike.records import Value


@dataclass(frozen=True)
class ModelSettings:
    """A recipe's `model` settings.

    Attributes:
        name: of the network, see `lookalike.models.table`.
        embedding_dim: length of an embedding.
        normalize: embeddings have length 1.
        own: the network's other settings.
    """

    name: str
    embedding_dim: int
    normalize: bool
    own: Mapping[str, Value]

    @classmethod
    def from_dict(cls, settings: Mapping[str, Value]) -> ModelSettings:
        """From the complete `model` mapping of a recipe, or that of model.json."""
        own = dict(settings)
        name, dimension, normalize = (
            own.pop(key) for key in ("name", "embedding_dim", "normalize")
        )
        return cls(str(name), int(dimension), bool(normalize), own)

    def without_weights(self) -> ModelSettings:
        """The same network, whose weights are random at first: those of a file are put in."""
        own = dict(self.own)
        return replace(self, own=own | {"weights": "none"} if "weights" in own else own)

    @property
    def score(self) -> str:
        """How embeddings are compared: `cosine`, or `euclidean` where they have no set length."""
        return "cosine" if self.normalize else "euclidean"
