"""Settings under `search` that cannot work with the others. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lookalike.data.spellings import first_few

LEARNT_STATES = ("whitened", "truncated")
"""Those that are learnt from the embedded training images."""


def search_misfits(settings: Mapping[str, Any], candidates: Iterable[str] = ()) -> Iterator[str]:
    """A sentence for each mistake, with the path of the key in front.

    Args:
        settings: all of them, complete; what `search` does not ask for is false there.
        candidates: recipes of which one or another may be a run.
    """
    search = settings["search"]
    hubness, most = search["hubness"], max(settings["metrics"]["k"])
    if hubness and hubness["k"] > most:
        yield (
            f"search.hubness.k: {hubness['k']} is more than the {most} places that are kept of "
            f"each ranking; add {hubness['k']} to metrics.k"
        )
    if not settings["data"]["labelled"]:
        for name in ("reranked", "hubness"):
            if search[name] is not False:
                yield (
                    f"search.{name}: with data.labelled: false there are no rankings to make it "
                    "of; set it to false"
                )
    for run in dict.fromkeys([*settings["runs"], *candidates]):
        recipe = settings["recipes"][run]
        model = recipe.get("model")
        if model is None:
            # Embeddings from elsewhere: what compares them may be stated.
            model = {"head": "none", "normalize": recipe.get("score") != "euclidean"}
        for name in LEARNT_STATES:
            dim = search[name] and search[name]["dim"]
            if _is_known(model) and isinstance(dim, int) and dim > model["embedding_dim"]:
                yield (
                    f"search.{name}.dim: {dim} is more than the {model['embedding_dim']} numbers "
                    f"of an embedding by {run}"
                )
        for name in ("expanded", "augmented"):
            if search[name] and search[name]["alpha"] > 0 and not model["normalize"]:
                yield (
                    f"search.{name}.alpha: neighbours weigh by their cosine, and the embeddings "
                    f"of {run} are compared by distance; set alpha: 0"
                )


def notes_on_given(settings: Mapping[str, Any]) -> list[str]:
    """A sentence on what `search` asks for and embeddings from elsewhere cannot have, if any.

    Args:
        settings: all of them, complete.
    """
    asked = [f"search.{name}" for name in LEARNT_STATES if settings["search"][name]]
    given = [run for run in settings["runs"] if "model" not in settings["recipes"][run]]
    if not asked or not given:
        return []
    return [
        f"{' and '.join(asked)} {'is' if len(asked) == 1 else 'are'} learnt from the embedded "
        "training images, which embeddings from elsewhere come without: "
        f"{first_few(given)} {'is' if len(given) == 1 else 'are'} not scored so"
    ]


def _is_known(model: Mapping[str, Any]) -> bool:
    """Whether the settings say how long an embedding is; without a head, the backbone does."""
    return model.get("head") != "none"
