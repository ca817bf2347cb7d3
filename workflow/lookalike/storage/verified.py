"""When a file's content was last found to be what was written there.

Hashing gigabytes at every start would be felt: a file that the file system knows to be unchanged is
trusted, for a day.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

# A file whose size and time of change are as they were is hashed again once it was not for so long:
# hashing gigabytes at every start would be felt, and what fails silently does so slowly.
_TRUSTED_SECONDS = 24 * 60 * 60


class Verified(NamedTuple):
    """What a file was when its content was last found to be what was written there.

    Attributes:
        n_bytes: its size.
        changed_ns: its time of change (ctime), in nanoseconds.
        verified_at: when that was, in seconds since the epoch.
    """

    n_bytes: int
    changed_ns: int
    verified_at: float

    @classmethod
    def now(cls, status: os.stat_result) -> Verified:
        """Of a file that is looked at now; its state from before that."""
        return cls(status.st_size, status.st_ctime_ns, time.time())

    def is_unchanged(self, status: os.stat_result) -> bool:
        """Whether the file has not been changed since, as far as the file system knows."""
        return (self.n_bytes, self.changed_ns) == (status.st_size, status.st_ctime_ns)

    def is_trusted(self, status: os.stat_result) -> bool:
        """Whether, moreover, it is not so long ago that the content should be looked at again."""
        return self.is_unchanged(status) and 0 <= time.time() - self.verified_at < _TRUSTED_SECONDS
