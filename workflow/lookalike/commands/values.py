"""What is given to an option, read from its text."""

from __future__ import annotations

import argparse
from pathlib import Path

_MOST_ANSWERS = 1_000_000


def path_of(text: str) -> Path:
    """Read a path; an empty one would be the folder that the command was started in."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a path")
    return Path(text)


def name_of(text: str) -> str:
    """Read a name that is to stand as it is given."""
    path_of(text)
    return text


def is_name(text: str) -> bool:
    """Whether a text names an image or `-`, and is no option."""
    return text == "-" or (bool(text.strip()) and "\0" not in text and not text.startswith("-"))


def count_of(text: str) -> int:
    """Read a whole number from 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= _MOST_ANSWERS:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is not a whole number from 1 to {_MOST_ANSWERS:,}"
        )
    return number


def cut_offs_of(text: str) -> list[int]:
    """Read `1,10,50`."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list like 1,10,50") from error


def a_share(text: str) -> float:
    """Read a number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number between 0 and 1, such as 0.3")
    return value


def share_or_number(text: str) -> float:
    """Read a number between 0 and 1, or a whole number from 1 up."""
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0:
        return int(text)
    try:
        return a_share(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is neither a share below 1, such as 0.25, nor a whole number such as 1"
        ) from None


def bits_or_none(text: str) -> int | str:
    """Read a number of bits, or `none`."""
    if text == "none":
        return text
    if text.isascii() and text.isdecimal() and len(text) < 3 and int(text) <= 12:
        return int(text)
    raise argparse.ArgumentTypeError(f"'{text}' is neither none nor a number from 0 to 12")
