"""docs/data-quality.md, made from the lists that the tests run: python -m support.hostile_page."""

from __future__ import annotations

from collections.abc import Iterable

from support.hostile_data import ENTRIES, FILES, LABELLINGS, NAMES, NOTED, THINGS
from support.hostile_images import PICTURES, REFUSE, SKIP, USE
from support.project import ROOT

PAGE = ROOT / "docs" / "data-quality.md"

_INTRODUCTION = """\
# What happens to bad and odd data

Each line is a case that the tests make and run (`tests/support/hostile_images.py`,
`tests/support/hostile_data.py`); this page is generated from the same lists by `make docs`, and a
test holds it equal to them.

| | |
|---|---|
| USE | used; a picture looks as a viewer shows it |
| SKIP | its entry is left out, counted and named with the reason, in manifest, log and report |
| NOTE | used or left alone, and a finding in the log and on the report |
| REFUSE | the run stops before any training with one message that names the file and the remedy |

What each reason means and what to do about it is in [data.md](data.md#why-an-image-is-left-out).
`data.on_bad_image: fail` turns every SKIP into a REFUSE.

Names and labels are shown with what cannot be seen spelt out: a name with a line break is
`"two\\nlines.png"` in a log and on the page. The report is a page without scripts, and its content
security policy lets none run; a label with a tag is text there. The only CSV file,
`comparison.csv`, has no name or label in it: its rows are named by recipes, which begin with a
letter or a digit. Images are opened by Pillow and nothing else, names reach no shell, and nothing
of the data is loaded as a pickle.
"""


def page() -> str:
    """The page's text."""
    return "\n".join(
        [
            _INTRODUCTION,
            *_table(
                "Images",
                "No image is decoded before its size is known from its header, and none above "
                "89,478,485 pixels or 512 MB is, nor one with more before its pixels than an image "
                "needs: one bad file costs no more memory than the largest image (1.3 GB, with "
                "transparency). The one exception is an AVIF's EXIF block, which Pillow reads "
                "first: it may take 30 times its size.",
                ((x.what, x.outcome, x.reason) for x in PICTURES),
            ),
            *_table(
                "Names",
                "Names are used in all splits alike, but for those that would lead elsewhere on "
                "some system (`\\a`, `C:\\a`, `a\\..\\b`).",
                ((f"name with {what}", USE, "") for what in NAMES),
            ),
            *_table(
                "Files that are none",
                "",
                [
                    *((x.what, x.outcome, x.reason) for x in THINGS),
                    ("file without permission", SKIP, "unreadable"),
                ],
            ),
            *_table("Label entries", "", ((x.what, x.outcome, x.reason) for x in ENTRIES)),
            *_table(
                "Whole label files",
                "The message names the file and, where there is one, the line and column.",
                ((x.what, REFUSE, ", ".join(x.says)) for x in FILES),
            ),
            *_table(
                "Labels that leave nothing to do",
                "",
                ((x.what, REFUSE, x.says) for x in LABELLINGS),
            ),
            *_table(
                "Between files",
                "Two pictures look the same where 4 or fewer of the 64 bits of their perceptual "
                "hashes (pHash) differ, and the mean colours of their quarters by no more than 20 "
                "of 255. `data.near_duplicates` sets the 4. The report shows the nearest pairs.",
                ((x.what, x.outcome, x.says) for x in NOTED),
            ),
        ]
    )


def _table(heading: str, words: str, rows: Iterable[tuple[str, str, str]]) -> list[str]:
    return [
        f"## {heading}\n",
        *([f"{words}\n"] if words else []),
        "| what | outcome | reason |",
        "|---|---|---|",
        *(f"| {_cell(what)} | {outcome} | {_reason(why)} |" for what, outcome, why in rows),
        "",
    ]


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")


def _reason(text: str) -> str:
    return f"`{text}`" if text and " " not in text else _cell(text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
