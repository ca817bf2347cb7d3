"""Endings of image files' names, by which they are told from other files before any is read."""

from __future__ import annotations

IMAGE_ENDINGS = frozenset(
    {
        *(".apng", ".avif", ".avifs", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm"),
        *(".pfm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
        # Of kinds that are not read here: such a file is named rather than passed over.
        *(".dib", ".heic", ".heif", ".j2k", ".jp2", ".jxl", ".mpo"),
    }
)
"""In lower case, with the point."""
