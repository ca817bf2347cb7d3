"""Small pictures for a page that must carry its own images, each distinct one once."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lookalike.errors import LookalikeError
from lookalike.images.decoding import open_rgb
from lookalike.images.limits import MAX_BYTES
from lookalike.storage.files import content_of

SIDE = 96
"""Longer side in pixels."""


@dataclass(frozen=True)
class Thumbnail:
    """A picture of `width` by `height` pixels as a data URI, under an id unique in the page."""

    id: str
    uri: str
    width: int
    height: int


class Thumbnails:
    """Makes thumbnails on request and keeps each distinct image's once."""

    def __init__(self, background: str) -> None:
        """`background`: the colour that transparent images are laid over."""
        self._background = background
        self._known: dict[str, Thumbnail | None] = {}

    def of(self, path: Path, content: str) -> Thumbnail | None:
        """Thumbnail of the image at `path`; None where the file is gone or another one by now.

        `content` is the SHA-256 of the file: two files of one content share a thumbnail.
        """
        if content not in self._known:
            self._known[content] = self._make(path, content, f"t{len(self._known)}")
        return self._known[content]

    @property
    def made(self) -> list[Thumbnail]:
        """Every thumbnail so far, in the order they were first asked for."""
        return [thumbnail for thumbnail in self._known.values() if thumbnail is not None]

    @property
    def unreadable(self) -> int:
        """How many distinct images could not be read, or were replaced."""
        return sum(thumbnail is None for thumbnail in self._known.values())

    def _make(self, path: Path, content: str, name: str) -> Thumbnail | None:
        try:
            scored = content_of(path, content, MAX_BYTES)
            if scored is None:
                return None
            image = open_rgb(scored, self._background)
        except (LookalikeError, OSError):
            return None
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        image.save(stream, "WEBP", quality=78, method=5)
        data = base64.b64encode(stream.getvalue()).decode("ascii")
        return Thumbnail(name, f"data:image/webp;base64,{data}", image.width, image.height)
