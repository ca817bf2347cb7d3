"""Arrays by the kind of their numbers, for type hints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Float32s = NDArray[np.float32]
Values = NDArray[np.float64]
"""Of metrics."""
