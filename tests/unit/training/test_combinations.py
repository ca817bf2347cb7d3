"""Which settings of a recipe exclude each other, and that the others train."""

from typing import Any

import pytest

from lookalike.config import resolve
from lookalike.errors import LookalikeError
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.augmentations.table import AUGMENTATIONS
from lookalike.training.combinations import misfits
from lookalike.training.losses.table import LOSSES
from lookalike.training.miners.table import MINERS, NONE, OWN
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
SHUFFLED = {"name": "shuffled", "size": 32}
EUCLIDEAN = {"normalize": False}
MEMORY = 512
LITE = {"name": "efficientnet_lite"}
UNCHANGED = {setting.name: setting.off for change in AUGMENTATIONS for setting in change.settings}


def resolved(**recipe: Any) -> dict[str, Any]:
    found: dict[str, Any] = resolve([{"recipes": {"mine": recipe}}], SCHEMA)["recipes"]["mine"]
    return found


@pytest.mark.parametrize(
    ("recipe", "parts"),
    [
        (
            {"loss": {"name": "arcface"}, "miner": {"name": "batch_hard"}},
            ["the loss arcface", "miner batch_hard", "miner: {name: own}", "loss contrastive or"],
        ),
        (
            {"loss": {"name": "smooth_ap"}, "miner": {"name": "hdc"}},
            ["the loss smooth_ap", "the miner hdc"],
        ),
        (
            {
                "loss": {"name": "contrastive"},
                "miner": {"name": "angular"},
                "model": EUCLIDEAN,
            },
            ["the miner angular", "model.normalize: true", "triplet_margin or batch_hard"],
        ),
        (
            {
                "loss": {"name": "triplet"},
                "miner": {"name": "batch_easy_hard", "positives": "semihard"},
            },
            ["miner.positives and miner.negatives", "hard or easy"],
        ),
        (
            {
                "loss": {"name": "triplet"},
                "miner": {"name": "batch_easy_hard", "positives": "all"},
            },
            ["miner.positives and miner.negatives", "hard or easy"],
        ),
        ({"loss": {"name": "proxy_nca"}, "memory": MEMORY}, ["the loss proxy_nca", "memory: 0"]),
        ({"loss": {"name": "fastap"}, "memory": MEMORY}, ["the loss fastap", "memory: 0"]),
        (
            {"loss": {"name": "lifted_structure"}, "memory": MEMORY},
            ["the loss lifted_structure", "memory: 0", "contrastive or triplet"],
        ),
        ({"memory": 47}, ["memory: 47", "no batch of 48 images"]),
        (
            {"batch": SHUFFLED, "memory": 32},
            ["memory: 32", "no batch of 33 images"],
        ),
        (
            {"miner": {"name": "batch_easy_hard"}, "memory": MEMORY},
            ["nearest positive in the memory is itself", "miner.positives"],
        ),
        (
            {"loss": {"name": "smooth_ap"}, "batch": SHUFFLED},
            ["the loss smooth_ap", "equally many images of each class", "batch: {name: balanced}"],
        ),
        (
            {"loss": {"name": "supcon"}, "model": EUCLIDEAN},
            ["the loss supcon", "contrastive or triplet or lifted_structure"],
        ),
        ({"views": 2}, ["views: 2", "train: all does not", "views: 0, or train: head"]),
        ({"model": LITE, "train": "none", "views": 1}, ["train: none does not", "views: 0"]),
        ({"model": LITE, "train": {"unfreeze": 1}, "views": 1}, ["{'unfreeze': 1} does not"]),
        (
            {"model": LITE, "train": "head", "views": 3, "augment": UNCHANGED},
            ["views: 3", "every change is switched off", "augment: {flip: 0.5}"],
        ),
        (
            {"validation": {"classes": 0, "keep": "best"}},
            ["validation.keep: best", "validation.classes: 0.1, or validation.keep: last"],
        ),
        (
            {"validation": {"classes": 0.0, "patience": 3}},
            ["validation.patience: 3", "validation.classes: 0.1, or validation.patience: 0"],
        ),
        ({"miner": {"name": "batch_hrad"}}, ["miner.name", "batch_hard"]),
        ({"miner": {"name": "none", "epsilon": 0.1}}, ["miner", "'epsilon'", "of none"]),
        ({"miner": {"name": "hdc", "share": 0}}, ["miner.share"]),
        ({"memory": -1}, ["memory", "-1"]),
        ({"loss": {"name": "contrastive", "power": 3}}, ["loss.power", "3"]),
        ({"loss": {"name": "contrastive", "power": 1.5}}, ["loss.power", "1.5"]),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_told_with_what_to_do(
    recipe: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(LookalikeError) as raised:
        resolved(**recipe)
    message = str(raised.value)
    assert message.count("\n") == 1, "one mistake, one line"
    for part in ["recipes.mine", *parts]:
        assert part in message


def test_each_miner_goes_with_each_loss_of_pairs_and_with_no_other() -> None:
    for loss in LOSSES:
        for miner in (OWN, NONE, *MINERS.names):
            recipe = {"loss": {"name": loss.name}, "miner": {"name": miner}}
            if loss.takes_miner or miner in (OWN, NONE):
                assert resolved(**recipe)["miner"]["name"] == miner
            else:
                with pytest.raises(LookalikeError, match=f"loss {loss.name} .* miner {miner} "):
                    resolved(**recipe)


def test_views_of_a_head_s_images_and_scores_of_held_out_ones_are_fine() -> None:
    views = resolved(model=LITE, train="head", views=3, augment={**UNCHANGED, "flip": 0.1})
    assert views["views"] == 3
    assert resolved(validation={"keep": "best", "patience": 3})["validation"]["patience"] == 3
    # Nothing is trained, so no setting of a training is asked what it goes with but for views.
    nothing = resolved(model=LITE, train="none", miner={"name": "hdc"}, memory=MEMORY)
    assert nothing["train"] == "none"


def test_recipes_that_come_with_the_project_fit() -> None:
    for recipe in resolve([], SCHEMA)["recipes"].values():
        assert [*misfits(recipe)] == []
        assert (recipe["miner"], recipe["memory"]) == ({"name": OWN}, 0)
