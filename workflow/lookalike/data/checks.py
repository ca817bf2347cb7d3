"""What the data report tells of steps to come: whether they can do their work.

Asked as soon as the manifest is made, so that nothing is decoded or trained in vain; the steps
themselves look again. Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.data.findings import Report, named
from lookalike.errors import LookalikeError

_LEAVES_OUT = {
    "none": "",
    "same_file": ", the query's own file aside (metrics.exclude: same_file)",
    "same_content": ", files of the query's very bytes aside (metrics.exclude: same_content)",
}


def require_trainable(report: Report, recipe: str, batch: Mapping[str, Any]) -> None:
    """See that a recipe can make batches of the training images.

    Args:
        report: data_report.json.
        recipe: its name, for the message.
        batch: its settings of that name.

    Raises:
        LookalikeError: it cannot.
    """
    alone = report["classes_without_positive"]
    classes = report["splits"]["train"]["classes"]
    if batch["name"] == "balanced" and classes - alone["count"] < 2:
        raise LookalikeError(
            f"recipe {recipe}: balanced batches need two training classes of two usable images "
            f"each or more; {alone['count']:,} of {classes:,} classes have but one: "
            f"{named(alone)}. Add images of these classes, or set batch: "
            "{name: shuffled} in the recipe, which takes what pairs there are"
        )


def require_scorable(report: Report, metrics: Mapping[str, Any]) -> None:
    """See that there are queries to score.

    Args:
        report: data_report.json.
        metrics: the settings of that name.

    Raises:
        LookalikeError: no query has anything to find, or one has not and `no_relevant` is `error`.
    """
    exclude = metrics["exclude"]
    lost, queries = report["nothing_to_find"][exclude], report["splits"]["query"]["ok"]
    lacking = f"an image of its class to find in the gallery{_LEAVES_OUT[exclude]}: {named(lost)}"
    if lost["count"] == queries:
        raise LookalikeError(
            f"none of the {queries:,} queries has {lacking}. So there is nothing to score. Add "
            "images of the queries' classes to the gallery"
        )
    if lost["count"] and metrics["no_relevant"] == "error":
        raise LookalikeError(
            f"metrics.no_relevant is error, and {lost['count']:,} of {queries:,} queries have not "
            f"{lacking}. Add images of their classes to the gallery, or set it to skip or zero"
        )
