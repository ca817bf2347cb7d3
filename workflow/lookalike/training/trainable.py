"""Whether a recipe can be trained on the images at hand; asked before it is.

The rules ask once the manifest is made, `lookalike check` before. Imports nothing heavy: the
Snakefile uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.data.checks import require_folds, require_pairs, require_trainable
from lookalike.data.findings import Report
from lookalike.training.class_subsets import require_train_classes
from lookalike.training.decisive import DataFacts, for_data


def require_images_for(report: Report, recipe: str, settings: Mapping[str, Any]) -> None:
    """See that there are pairs, batches, folds and classes for a recipe that trains.

    Args:
        report: data_report.json.
        recipe: its name, for the message.
        settings: its complete settings.

    Raises:
        LookalikeError: something is lacking.
    """
    require_pairs(report, recipe)
    require_trainable(report, recipe, settings["batch"])
    require_folds(report, recipe, settings["validation"])
    facts = DataFacts.from_report(report)
    require_train_classes(report, recipe, for_data(settings, facts))
