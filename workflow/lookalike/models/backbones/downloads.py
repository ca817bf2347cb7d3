"""Weights that a library downloads, in that library's own cache."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import huggingface_hub
import torch

from lookalike.errors import LookalikeError

# Seconds to wait for an answer before there is said to be none.
_PATIENCE = 10.0
_DIGEST_IN_NAME = re.compile(r"-([a-f0-9]{8,})\.")


def from_hub(repository: str, names: Sequence[str], backbone: str) -> Path:
    """A file of weights from the Hugging Face Hub, or from its cache, where it is looked for first.

    Args:
        repository: as the hub calls it, with `@` and a revision if need be.
        names: of the file, the best first.
        backbone: for messages.

    Raises:
        LookalikeError: it is not in the cache, and cannot be fetched.
    """
    repository, _, revision = repository.partition("@")
    at = revision or None
    for name in names:
        cached = huggingface_hub.try_to_load_from_cache(repository, name, revision=at)
        if isinstance(cached, str):
            return Path(cached)
    url = huggingface_hub.hf_hub_url(repository, names[0], revision=at)
    with _told(url, backbone):
        # One question first: where there is no network, the hub's own client asks for a minute.
        huggingface_hub.get_session().head(url, timeout=_PATIENCE)
        for name in names[:-1]:
            with suppress(huggingface_hub.errors.EntryNotFoundError):
                return Path(huggingface_hub.hf_hub_download(repository, name, revision=at))
        return Path(huggingface_hub.hf_hub_download(repository, names[-1], revision=at))


def from_url(url: str, backbone: str) -> Path:
    """A file of weights from an address, or from the cache of torch.hub.

    Raises:
        LookalikeError: it is not in the cache, and cannot be fetched.
    """
    name = url.rpartition("/")[2]
    path = Path(torch.hub.get_dir(), "checkpoints", name)
    if not path.is_file():
        digest = _DIGEST_IN_NAME.search(name)
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(_PATIENCE)
        try:
            with _told(url, backbone, f", or to {path}"):
                path.parent.mkdir(parents=True, exist_ok=True)
                torch.hub.download_url_to_file(
                    url, str(path), digest.group(1) if digest else None, progress=False
                )
        finally:
            socket.setdefaulttimeout(before)
    return path


@contextmanager
def _told(url: str, backbone: str, place: str = "") -> Iterator[None]:
    """Say of whatever goes wrong what to do; libraries raise much."""
    try:
        yield
    except Exception as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise LookalikeError(
            f"model.weights: the pretrained weights of {backbone} cannot be fetched ({why}). Fetch "
            f"{url} where there is a network, copy it here{place}, and name it in the recipe: "
            f"weights: {Path(url).name}"
        ) from error
