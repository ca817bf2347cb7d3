"""Write scikit-learn's handwritten digits as image files in Lookalike's default layout.

    python benchmarks/digits.py FOLDER [--split open|closed] [--seed 0] [--query-share 0.2]

1,797 images of 8x8 pixels by 43 writers, dark ink on white paper; a class is a digit. With ten
classes a split is coarse either way:

open    digits 0 to 5 are for training, 6 to 9 for the test: its classes are never trained on.
closed  half of every digit's images are for training, the other half for the test.

Of each test digit's images a seeded share are queries and the rest are the gallery. Equal arguments
give equal files.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from lookalike.steps.demo import LabelledImage, write_layout
from lookalike.storage.digests import digest_of

FIRST_TEST_DIGIT = 6  # of the open split
SOURCE = """\
Handwritten digits from the Optical Recognition of Handwritten Digits data set
(E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, doi:10.24432/C50P49),
licence CC BY 4.0, as distributed with scikit-learn. Changed: stored as 8-bit images.
"""


def digit_images(seed: int) -> dict[int, list[LabelledImage]]:
    """All images of each digit in a seeded order, 8-bit grey, 0 is ink."""
    data = load_digits()
    order = sorted(range(len(data.target)), key=lambda index: digest_of([seed, index]))
    by_digit: dict[int, list[LabelledImage]] = {digit: [] for digit in range(10)}
    for index in order:
        digit = int(data.target[index])
        ink = data.images[index] / 16  # 0 to 1
        file = io.BytesIO()
        Image.fromarray(np.rint(255 * (1 - ink)).astype(np.uint8)).save(file, "PNG")
        image = LabelledImage(f"{index:04d}.png", str(digit), file.getvalue())
        by_digit[digit].append(image)
    return by_digit


def write_digits(root: Path, split: str, seed: int, query_share: float) -> dict[str, int]:
    """Write the data under `root`; return the number of images in each of its folders."""
    folders: dict[str, list[LabelledImage]] = {"train": [], "query_images": [], "gallery": []}
    for digit, content in digit_images(seed).items():
        if split == "open":
            n_train = len(content) if digit < FIRST_TEST_DIGIT else 0
        else:
            n_train = len(content) // 2
        test = content[n_train:]
        n_queries = round(query_share * len(test))
        folders["train"] += content[:n_train]
        folders["query_images"] += test[:n_queries]
        folders["gallery"] += test[n_queries:]
    write_layout(root, folders, {"SOURCE.txt": SOURCE})
    return {folder: len(content) for folder, content in folders.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", choices=["open", "closed"], default="open")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--query-share", type=float, default=0.2)
    arguments = parser.parse_args()
    counts = write_digits(arguments.folder, arguments.split, arguments.seed, arguments.query_share)
    print(", ".join(f"{folder}: {count}" for folder, count in counts.items()))


if __name__ == "__main__":
    main()
