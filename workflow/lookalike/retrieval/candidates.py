"""Which gallery items a query is compared with, whatever the labels say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.data.protocol import exclusion
from lookalike.retrieval.tables import AttributeFiles, EmbeddingTable, Folders, two_tables


@dataclass(frozen=True)
class Candidates:
    """What of the metrics' protocol holds without labels: `metrics.exclude: {same: ...}` does not.

    Attributes:
        exclude: what a query leaves out as being itself, see
            `lookalike.retrieval.settings.MetricsSettings`.
        folders: of the query and gallery images, for `exclude="same_file"`.
        within: names of attributes: a query is compared with the items that have its values.
        attributes: tables of the queries and of the gallery that have these.
    """

    exclude: str
    folders: Folders
    within: Sequence[str] = ()
    attributes: AttributeFiles | None = None

    @classmethod
    def of_config(
        cls, metrics: Mapping[str, Any], folders: Folders, attributes: AttributeFiles | None
    ) -> Candidates:
        """What config.yaml's `metrics` mapping says of them."""
        return cls(exclusion(metrics)[0], folders, metrics["within"], attributes)

    def tables(self, query: Path, gallery: Path) -> tuple[EmbeddingTable, EmbeddingTable]:
        """The two embeddings tables, without labels."""
        return two_tables(
            query,
            gallery,
            self.exclude,
            self.folders,
            within=self.within,
            attributes=self.attributes if self.within else None,
            labelled=False,
        )

    def gallery_in_itself(self, gallery: Path) -> EmbeddingTable:
        """The gallery's table, of which each item leaves out itself, and what is the same image."""
        exclude = "same_id" if self.exclude == "none" else self.exclude
        folders = (self.folders[1], self.folders[1])
        attributes = (self.attributes[1], self.attributes[1]) if self.attributes else None
        items, _ = Candidates(exclude, folders, self.within, attributes).tables(gallery, gallery)
        return items
