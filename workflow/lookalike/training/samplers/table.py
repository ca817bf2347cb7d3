"""The samplers of batches by name. Imports none of them; see `lookalike.records`.

A builder is the sampler itself: given class numbers int64 [n] and a `numpy.random.Generator`, and
the record's settings by keyword, it returns the batches of an epoch, arrays of indices.
"""

from __future__ import annotations

from lookalike.records import Setting, Table
from lookalike.training.samplers.record import Sampler

_LARGEST = 1_000_000

SAMPLERS: Table[Sampler] = Table(
    "batch.name",
    "sampler",
    Sampler(
        "balanced",
        "lookalike.training.samplers.balanced:balanced_batches",
        "different classes with as many images each",
        "Hermans, Beyer and Leibe 2017; mixing by Strona et al. 2014",
        (
            Setting("classes", int, 16, "classes in a batch", minimum=2, maximum=_LARGEST),
            Setting("images_per_class", int, 3, "images of each", minimum=2, maximum=_LARGEST),
        ),
        size=("classes", "images_per_class"),
    ),
    Sampler(
        "shuffled",
        "lookalike.training.samplers.shuffled:shuffled_batches",
        "all images once in random order",
        "the seed document",
        (
            Setting(
                "size",
                int,
                32,
                "images in a batch, drawn without regard to class",
                minimum=2,
                maximum=_LARGEST,
            ),
        ),
        size=("size",),
    ),
)
