"""The data report in sentences: warnings and notes, and the summary that is printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lookalike.text import shown

if TYPE_CHECKING:  # the Snakefile names findings, and imports nothing heavy
    from lookalike.data.class_draws import UnevenDraws

Report = dict[str, Any]

USUAL_BATCH = (16, 3)
"""Classes, and images of each, in a batch of recipe `default` as it comes."""

TINY = 16
"""Pixels: images with a shorter side are pointed out."""


def findings(
    report: Report,
    *,
    labelled_twice: Report,
    nearly_equal_labels: Report,
    nearly_equal_names: Report,
    links: Report,
    tiny: Report,
    queries_in_gallery: int,
    uneven: UnevenDraws | None,
    labelled: bool = True,
) -> list[dict[str, str]]:
    """What the report's counts mean, as `{"level": "warning" | "note", "text": sentence}`.

    Warnings come first, the gravest at the top. Given as {count, first} is what has no key of its
    own in the report.

    Args:
        report: data_report.json but for its findings.
        labelled_twice: contents under two labels.
        nearly_equal_labels: labels that differ in what is hardly seen.
        nearly_equal_names: image names that do.
        links: images that lie outside of their folder.
        tiny: images of a few pixels.
        queries_in_gallery: queries whose very file is a gallery item.
        uneven: what an epoch draws in the default's batches, where classes differ in size.
        labelled: whether labels say what is alike; if not, nothing is said of classes and scores.
    """
    warnings = [
        *(_leakage(report) if labelled else ()),
        *_left_out(report),
        *(_about_scores(report, labelled_twice) if labelled else ()),
    ]
    notes = [
        *(_leave_one_out(report, queries_in_gallery) if labelled else _unlabelled()),
        *_near(report, labelled),
        *_copies(report),
        *(_classes(report, nearly_equal_labels) if labelled else ()),
        *(_drawn(report, uneven) if labelled else ()),
        *_files(nearly_equal_names, links, tiny),
        *_unlisted(report),
    ]
    return [
        {"level": level, "text": text}
        for level, texts in (("warning", warnings), ("note", notes))
        for text in texts
    ]


def summary(report: Report, *, written: bool = True) -> str:
    """The report in a few lines of text: the counts, then the findings.

    written: whether the manifest is; else nothing is said of where more stands in it.
    """
    lines = ["The data:"]
    for split, facts in report["splits"].items():
        spread = facts["images_per_class"]
        lines.append(
            f"  {split}: {_n(facts['entries'], 'entry', 'entries')}, {facts['ok']:,} ok, "
            f"{_n(facts['classes'], 'class', 'classes')} of {spread['min']} to {spread['max']} "
            f"images, median {spread['median']:,}".removesuffix(".0")
        )
    lines += [f"  {finding['level']}: {finding['text']}" for finding in report["findings"]]
    text = "\n".join(lines)
    if not written:
        for split in report["splits"]:
            text = text.replace(_more_of(split), "")
    return text


def _more_of(split: str) -> str:
    """Where the manifest says more of each entry that is left out."""
    return f" Column `detail` of manifest/{split}.parquet says more of each."


def named(counted: Mapping[str, Any]) -> str:
    """The first names of a {count, first} pair, and how many more there are."""
    more = counted["count"] - len(counted["first"])
    return ", ".join(map(shown, counted["first"])) + (f" and {more:,} more" if more else "")


def _leakage(report: Report) -> Iterator[str]:
    for pair in report["duplicates"]["across"]:
        if pair["leakage"]:
            one, other = pair["splits"]
            first = pair["first"][0]
            yield (
                f"LEAKAGE: {_n(pair['groups'], 'image')} of the training set "
                f"{_is(pair['groups'])} also in the {other} set, byte for byte: "
                f"{_image(one, first)} is {_image(other, first)}. Scores that include what was "
                "learnt by heart are too good; take such images out of one of the two."
            )


def _about_scores(report: Report, labelled_twice: Report) -> Iterator[str]:
    """What makes scores, or a training, worth less than they seem."""
    yield from _two_labels(labelled_twice)
    yield from _unscored(report)
    yield from _equal_in_gallery(report)
    yield from _no_positive(report)


def _unlabelled() -> Iterator[str]:
    yield (
        "Labels say nothing of what is alike (data.labelled: false): nothing is trained, and "
        "nothing is scored."
    )


def _near(report: Report, labelled: bool) -> Iterator[str]:
    if report["near_duplicates"]["bits"] is None:
        yield (
            "Images of two splits that look the same, though the files differ, were not looked for "
            "(data.near_duplicates: false)."
        )
    for pair in report["near_duplicates"]["across"]:
        one, other = pair["splits"]
        differing = pair["of_another_label"]
        they = pair["images"] > 1
        yield (
            f"{_n(pair['images'], 'image')} of the {other} set {'look' if they else 'looks'} the "
            f"same as one of the {one} set, though the files differ: {_pair(pair)}"
            + (f" ({differing:,} under another label)" if differing and labelled else "")
            + (
                ". If they are copies, resized or saved again, scores are too good: their pictures "
                "are in the report."
                if labelled
                else ". The nearest pairs are in data_report.json."
            )
        )


def _pair(pair: Report) -> str:
    """The first two images of a pair of splits that look the same."""
    one, other = pair["splits"]
    first = pair["first"][0]
    return f"{shown(f'{one}/{first[one]}')} and {shown(f'{other}/{first[other]}')}, for one"


def _left_out(report: Report) -> Iterator[str]:
    for split, facts in report["splits"].items():
        left_out = facts["entries"] - facts["ok"]
        if left_out:
            reasons = "; ".join(
                f"{counted['count']:,} {reason} ({named(counted)})"
                for reason, counted in facts["reasons"].items()
            )
            yield (
                f"{left_out:,} of {_n(facts['entries'], 'entry', 'entries')} of the {split} set "
                f"{_is(left_out)} left out: {reasons}.{_more_of(split)}"
                + " No such file was there in the query folder either."
                * (split == "gallery" and "missing_file" in facts["reasons"])
            )


def _two_labels(labelled_twice: Report) -> Iterator[str]:
    if labelled_twice["count"]:
        yield (
            f"{_n(labelled_twice['count'], 'image')} {_is(labelled_twice['count'])} given under "
            f"more than one label, byte for byte the same: {'; '.join(labelled_twice['first'])}."
        )


def _unscored(report: Report) -> Iterator[str]:
    lost = report["queries_without_relevant"]
    if lost["count"]:
        yield (
            f"{lost['count']:,} of {_n(report['splits']['query']['ok'], 'query', 'queries')} "
            f"{'has' if lost['count'] == 1 else 'have'} no other image of the same class in the "
            f"gallery, so nothing to find: {named(lost)}."
        )
    if report["splits"]["gallery"]["classes"] == 1:
        yield "The gallery has one class only: every ranking of it is equally good."


def _equal_in_gallery(report: Report) -> Iterator[str]:
    for pair in report["duplicates"]["across"]:
        if not pair["leakage"]:
            first = pair["first"][0]
            yield (
                f"{_n(pair['groups'], 'image')} {_is(pair['groups'])} both query and gallery "
                f"item, as different files of equal bytes: {_image('query', first)} and "
                f"{_image('gallery', first)}. Finding it proves nothing; metrics.exclude: "
                "same_content leaves it out."
            )


def _no_positive(report: Report) -> Iterator[str]:
    alone = report["classes_without_positive"]
    if alone["count"]:
        yield (
            f"{alone['count']:,} of "
            f"{_n(report['splits']['train']['classes'], 'training class', 'training classes')} "
            f"{'has' if alone['count'] == 1 else 'have'} one usable image, so no positive pair: "
            f"{named(alone)}."
        )


def _leave_one_out(report: Report, queries_in_gallery: int) -> Iterator[str]:
    if queries_in_gallery:
        yield (
            f"{queries_in_gallery:,} of {_n(report['splits']['query']['ok'], 'query', 'queries')} "
            f"{_is(queries_in_gallery)} the same file as a gallery item (leave-one-out): "
            "metrics.exclude: same_file ranks the others only."
        )


def _copies(report: Report) -> Iterator[str]:
    for split, within in report["duplicates"]["within"].items():
        if within["groups"]:
            names = " = ".join(map(shown, within["first"][0]))
            yield (
                f"{within['images']:,} files of the {split} set hold only "
                f"{_n(within['groups'], 'different image')}: {names}, for one."
            )


def _classes(report: Report, nearly_equal_labels: Report) -> Iterator[str]:
    if nearly_equal_labels["count"]:
        yield (
            "Labels that differ in case, blanks, the spelling of a number or Unicode form only "
            "count as different classes: "
            f"{'; '.join(nearly_equal_labels['first'])}."
        )
    shared = report["shared_classes"]
    if shared["count"]:
        yield (
            f"{_n(shared['count'], 'class', 'classes')} {_is(shared['count'])} in both the "
            f"training and the test sets: {named(shared)}. Scores on them say how well known "
            "classes are told apart, not how well new ones would be."
        )
    distractors = report["distractors"]
    if distractors["images"]:
        yield (
            f"{_n(distractors['images'], 'gallery image')} of "
            f"{_n(distractors['classes'], 'class', 'classes')} {_is(distractors['images'])} "
            "no query's answer (distractors)."
        )


def _drawn(report: Report, uneven: UnevenDraws | None) -> Iterator[str]:
    """What class-balanced batches make of single images and of classes that differ in size."""
    alone = report["classes_without_positive"]["count"]
    if alone:
        yield (
            f"{_n(alone, 'training image')} {_is(alone)} the only one of "
            f"{'its class' if alone == 1 else 'their classes'}. Class-balanced batches leave "
            f"{'it' if alone == 1 else 'them'} out; shuffled ones use "
            f"{'it' if alone == 1 else 'them'} in negative pairs."
        )
    if uneven:
        yield (
            f"Training classes differ in size. In class-balanced batches of "
            f"{USUAL_BATCH[0]} classes x {USUAL_BATCH[1]} images (the default), "
            f"an epoch draws each image of a class of {uneven.large:,} images "
            f"{_times(uneven.large_draws)}, and each of a class of {uneven.small:,} images "
            f"{_times(uneven.small_draws)}, to fill {_n(uneven.batches, 'batch', 'batches')}. "
            "The log of a training says it for its own recipe."
        )


def _times(number: float) -> str:
    """How often, to one decimal: once, 24 times, 6.7 times."""
    times = f"{number:,.1f}".removesuffix(".0")
    return "once" if times == "1" else f"{times} times"


def _files(nearly_equal_names: Report, links: Report, tiny: Report) -> Iterator[str]:
    if nearly_equal_names["count"]:
        yield (
            "Names that differ in case or Unicode form only are different files here, and "
            f"may be one file on another computer: {'; '.join(nearly_equal_names['first'])}."
        )
    if links["count"]:
        yield (
            f"{_n(links['count'], 'image')} {_is(links['count'])} read through links that lead out "
            f"of the image folder: {named(links)}."
        )
    if tiny["count"]:
        yield (
            f"{_n(tiny['count'], 'image')} {_is(tiny['count'])} less than {TINY} pixels wide or "
            f"high, likely placeholders: {named(tiny)}."
        )


def _unlisted(report: Report) -> Iterator[str]:
    for split, facts in report["splits"].items():
        unlisted = facts["unlisted_files"]
        if unlisted["count"]:
            yield (
                f"{_n(unlisted['count'], 'file')} in the {split} folder {_is(unlisted['count'])} "
                f"in no label file and left aside: {named(unlisted)}."
            )


def _image(split: str, group: Mapping[str, Sequence[str]]) -> str:
    """The first image of `split` in a group of {split: image ids}."""
    return shown(f"{split}/{group[split][0]}")


def _n(count: int, one: str, many: str = "") -> str:
    """`count` with its noun: 1 image, 2 images."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
