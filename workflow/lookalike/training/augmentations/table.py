"""The random changes to an image, in the order in which they are made. Imports none of them.

A recipe's `augment` mapping holds the settings of all; a change is made where one of its settings
is not the value that stands for none (`off`). A builder is given the size of an image in pixels and
the record's settings by keyword, and returns a transform of kornia.
"""

from __future__ import annotations

from lookalike.records import Setting, Table, Variant

_LIBRARY = ("kornia",)


def _share(name: str, default: float, meaning: str) -> Setting:
    """A setting between 0, which stands for none, and 1."""
    return Setting(name, float, default, meaning, minimum=0, maximum=1, off=0.0)


AUGMENTATIONS: Table[Variant] = Table(
    "augment",
    "change",
    Variant(
        "rotation",
        "lookalike.training.augmentations.rotation:build",
        "turned about the centre; the corners that this uncovers repeat the image's edge",
        "kornia",
        (
            Setting(
                "rotate",
                float,
                0.0,
                "largest rotation, in degrees",
                minimum=0,
                maximum=180,
                off=0.0,
            ),
        ),
        _LIBRARY,
    ),
    Variant(
        "crop",
        "lookalike.training.augmentations.crop:build",
        "a part of the image, in other proportions",
        "kornia; Szegedy et al. 2015",
        (
            Setting(
                "scale",
                float,
                0.9,
                "smallest share of the area that a crop keeps",
                above=0,
                maximum=1,
                off=1.0,
            ),
            _share("aspect", 0.1, "largest change of the aspect ratio of a crop"),
        ),
        _LIBRARY,
    ),
    Variant(
        "mirror",
        "lookalike.training.augmentations.mirror:build",
        "left and right exchanged",
        "kornia",
        (_share("flip", 0.0, "probability of a mirror image"),),
        _LIBRARY,
    ),
    Variant(
        "colour",
        "lookalike.training.augmentations.colour:build",
        "brightness, contrast and saturation changed, in random order",
        "kornia",
        (
            _share("brightness", 0.0, "largest relative change"),
            _share("contrast", 0.0, "largest relative change"),
            _share("saturation", 0.0, "largest relative change"),
        ),
        _LIBRARY,
    ),
    Variant(
        "grey",
        "lookalike.training.augmentations.grey:build",
        "all colour lost",
        "kornia",
        (_share("grayscale", 0.0, "probability of losing all colour"),),
        _LIBRARY,
    ),
)

CHAIN = Variant(
    "chain",
    "lookalike.training.augmentations.chain:chained",
    "changes one after the other",
    "kornia",
    libraries=_LIBRARY,
)
"""What makes one module of the changes of a recipe, where it has any."""
