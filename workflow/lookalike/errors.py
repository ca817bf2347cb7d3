"""The exceptions a user is meant to read."""

from __future__ import annotations

from collections.abc import Iterable

from lookalike.text import shown_path


class LookalikeError(Exception):
    """Something the user can mend: the message names the file or setting and the remedy.

    Scripts and the command line print it without a traceback and exit with status 1.
    """


class SettingsError(LookalikeError):
    """Settings that cannot be used.

    `mistakes` are the lines of the message: each begins with the path of the setting at fault.
    """

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("\n  ".join(["the settings cannot be used:", *self.mistakes]))


class BadImageError(LookalikeError):
    """A file that cannot be used as an image.

    `status` is the manifest's short reason, `detail` a sentence without the file's name. Both are
    decided by the file's bytes alone, but for `missing_file` and `unreadable`: those speak of the
    moment (no file, no permission, no memory).
    """

    def __init__(self, status: str, detail: str, name: str = "") -> None:
        super().__init__(f"{shown_path(name)}: {detail}" if name else detail)
        self.status, self.detail = status, detail
