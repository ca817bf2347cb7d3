"""Reading NumPy's files: pickles, which may run any program, stay closed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.text import shown_path


def read_array(path: Path) -> NDArray[Any]:
    """Open the array of a .npy in a memory map.

    Raises:
        LookalikeError: it is missing or damaged, holds Python objects, or is no array.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise LookalikeError(
            f"{shown_path(path)}: cannot be read: {error.strerror or error}"
        ) from error
    except (EOFError, ValueError) as error:
        why = " ".join(str(error).split())
        if "pickle" in why or "Python objects" in why:
            raise LookalikeError(
                f"{shown_path(path)}: holds Python objects as a pickle, which is never opened, as "
                "it could run any program. Save embeddings by np.save(name, np.stack(rows)), "
                "labels by np.save(name, np.asarray(labels, dtype=str))"
            ) from None
        raise LookalikeError(
            f"{shown_path(path)}: is no array that can be read ({why}). It is damaged or cut "
            "short, or was none: write it anew by np.save"
        ) from error
    if not isinstance(found, np.ndarray):
        found.close()
        raise LookalikeError(
            f"{shown_path(path)}: is a ZIP archive of arrays, as np.savez writes; save each array "
            "by np.save"
        )
    return found
