"""Whether the steps to come can do their work.

Asked as soon as the manifest is made, so that nothing is decoded or trained in vain; the steps
themselves look again. Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lookalike.data.findings import Report, named
from lookalike.data.layout import SPLITS, DataSettings
from lookalike.data.likely_faults import fault_of_keys, fault_of_labels
from lookalike.data.protocol import exclusion
from lookalike.data.spellings import FIRST, nearly_equal_labels
from lookalike.data.walking import files_below
from lookalike.errors import LookalikeError
from lookalike.text import quoted, shown

if TYPE_CHECKING:
    import pyarrow as pa

_FIRST_DETAILS = 3  # of each reason that entries are left out for, in a refusal
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


def require_pairs(report: Report, recipe: str) -> None:
    """See that there are two training classes, and a pair of one, for a recipe that trains.

    The manifest may have been made when nothing was to be trained.

    Args:
        report: data_report.json.
        recipe: its name, for the message.

    Raises:
        LookalikeError: there are not.
    """
    alone = report["classes_without_positive"]["count"]
    classes = report["splits"]["train"]["classes"]
    if classes < 2 or alone == classes:
        raise LookalikeError(
            f"recipe {recipe}: training needs two classes or more, one of them with two usable "
            f"images; there are {classes:,}, with one image alone {alone:,}. Add images, or set "
            "train: none in the recipe"
        )


def require_folds(report: Report, recipe: str, validation: Mapping[str, Any]) -> None:
    """See that there are classes enough for each fold that a recipe is a part of.

    Args:
        report: data_report.json.
        recipe: its name, for the message.
        validation: its settings of that name.

    Raises:
        LookalikeError: there are not.
    """
    folds = validation.get("folds")
    if folds is None:
        return
    pairs = report["splits"]["train"]["classes"] - report["classes_without_positive"]["count"]
    if pairs < 2 * folds:
        most = f"Set folds to {pairs // 2} or less" if pairs >= 4 else "Add images, or leave it out"
        raise LookalikeError(
            f"recipe {recipe}: each of {folds} folds needs two training classes of two usable "
            f"images each or more, and there are {pairs:,} such classes. {most}"
        )


def require_training_images(report: Report, learnt: Sequence[str]) -> None:
    """See that there are training images for what the search side learns from them.

    The manifest may have been made when nothing was learnt.

    Args:
        report: data_report.json.
        learnt: names of these states, none where nothing is.

    Raises:
        LookalikeError: there are fewer than two.
    """
    found = report["splits"]["train"]["ok"]
    if learnt and found < 2:
        raise LookalikeError(
            f"{_learnt_from(learnt)}; it takes two usable ones at the least, and there "
            f"{'is one' if found == 1 else 'are none'}. Add training images (data.train, "
            f"data.train_labels), or set {' and '.join(map('search.{}'.format, learnt))} to false"
        )


def _learnt_from(learnt: Sequence[str]) -> str:
    names, is_one = " and ".join(map("search.{}".format, learnt)), len(learnt) == 1
    return f"{names} {'is' if is_one else 'are'} learnt from the embedded training images"


def require_scorable(report: Report, metrics: Mapping[str, Any]) -> None:
    """See that there are queries to score.

    Args:
        report: data_report.json.
        metrics: the settings of that name.

    Raises:
        LookalikeError: no query has anything to find, or one has not and `no_relevant` is `error`.
    """
    exclude, _ = exclusion(metrics)
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


def require_no_bad_image(
    data: DataSettings, tables: Mapping[str, pa.Table], report: Report
) -> None:
    """Raise LookalikeError where there are images that cannot be used, and on_bad_image is `fail`.

    Args:
        data: the settings of that name.
        tables: the manifest of each split.
        report: data_report.json.
    """
    if data.on_bad_image == "fail" and (lines := _left_out(tables, report, SPLITS)):
        raise LookalikeError(
            "data.on_bad_image is fail and some entries cannot be used. Mend or remove them, or "
            f"set it to skip:{lines}"
        )


def _left_out(tables: Mapping[str, pa.Table], report: Report, splits: Iterable[str]) -> str:
    """What is left out of some splits and why, a line a reason and one for each first detail."""
    lines = []
    for split in splits:
        columns = (tables[split][name].to_pylist() for name in ("image_id", "status", "detail"))
        details: dict[str, list[tuple[str, str]]] = {}
        for name, status, detail in zip(*columns, strict=True):
            details.setdefault(status, []).append((name, detail))
        for reason, counted in report["splits"][split]["reasons"].items():
            lines.append(f"  {split}: {counted['count']:,} {reason}: {named(counted)}")
            names_of: dict[str, str] = {}
            for name, detail in details[reason][:_FIRST_DETAILS]:
                names_of.setdefault(detail, name)
            lines += [f"    {shown(name)}: {detail}" for detail, name in names_of.items()]
    return "".join(f"\n{line}" for line in lines)


def require_enough(
    data: DataSettings,
    tables: Mapping[str, pa.Table],
    report: Report,
    *,
    trains: bool = True,
    learnt: Sequence[str] = (),
) -> None:
    """See that there is something to train on, to look for and to find.

    Args:
        data: the settings of that name.
        tables: the manifest of each split.
        report: data_report.json.
        trains: whether there is anything that is trained.
        learnt: what the search side learns from the training images: names of states.

    Raises:
        LookalikeError: there is not; with the first entries that are left out, and why.
    """
    for split in SPLITS if trains or learnt else ("query", "gallery"):
        counts = report["splits"][split]
        if not counts["ok"]:
            labels = data.train_labels_path if split == "train" else data.test_labels_path
            unlisted = counts["unlisted_files"]
            raise LookalikeError(
                f"There is no usable {split} image: {counts['entries']} entries of {labels} belong "
                f"to {data.folder(split)}."
                + f" {_learnt_from(learnt)}." * (split == "train" and not trains)
                + " A key is the file's path inside that folder."
                * (not counts["entries"] or "missing_file" in counts["reasons"])
                + (f" Files there that no key names: {named(unlisted)}." * bool(unlisted["count"]))
                + _likely(data, tables, split)
                + _left_out(tables, report, [split])
            )
    if trains:
        _require_classes(data, tables, report)
    require_training_images(report, learnt)
    if not data.labelled:
        return
    of_queries, of_gallery = (_labels_of(tables[split]) for split in ("query", "gallery"))
    if not set(of_queries) & set(of_gallery):
        alike = nearly_equal_labels([*of_queries, *of_gallery])
        raise LookalikeError(
            "No query has an image of its class in the gallery, so there is nothing to find "
            f"and nothing to score; see {data.test_labels_path}. Labels of the queries: "
            f"{_first(of_queries)}; of the gallery: {_first(of_gallery)}."
            + f" They differ in their spelling only: {'; '.join(alike[:5])}." * bool(alike)
            + _besides(_left_out(tables, report, ["query", "gallery"]))
        )


def _likely(data: DataSettings, tables: Mapping[str, pa.Table], split: str) -> str:
    """What is likely wrong with a split of which no image can be used, in sentences."""
    rows = tables[split].select(["image_id", "status", "detail"]).to_pylist()
    missing = [row["image_id"] for row in rows if row["status"] == "missing_file"]
    faults = [
        fault_of_keys(missing, files_below(data.folder(split))) if missing else "",
        fault_of_labels([row["detail"] for row in rows if row["status"] == "unusable_label"]),
    ]
    return "".join(f" {fault}" for fault in faults if fault)


def _require_classes(data: DataSettings, tables: Mapping[str, pa.Table], report: Report) -> None:
    """See that the training images have pairs of one class, and of two."""
    of_training = _left_out(tables, report, ["train"])
    classes = report["splits"]["train"]["classes"]
    if classes < 2:
        (label,) = _labels_of(tables["train"])
        raise LookalikeError(
            f"All usable training images have one label, {quoted(label)}; training needs two "
            f"classes or more in {data.train_labels_path}.{_besides(of_training)}"
        )
    alone = report["classes_without_positive"]
    if alone["count"] == classes:
        raise LookalikeError(
            f"None of the {classes} training classes has two usable images, so there is no pair of "
            f"one class to learn from: {named(alone)}; see {data.train_labels_path}."
            f"{_besides(of_training)}"
        )


def _labels_of(table: pa.Table) -> list[str]:
    """The labels of a manifest's usable rows, sorted, each once."""
    from lookalike.data.manifest_table import usable

    return sorted(set(usable(table)["label"].to_pylist()))


def _besides(left_out: str) -> str:
    return f" Left out are:{left_out}" if left_out else ""


def _first(labels: Sequence[str]) -> str:
    return named({"count": len(labels), "first": labels[:FIRST]})
