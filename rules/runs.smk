# Which runs there are, in which states, and what files they have.
import re
from functools import cache
from pathlib import Path

from lookalike.config import embedded_recipes, image_settings, recipe_and_seed
from lookalike.errors import LookalikeError
from lookalike.report.pairs import runs_with_page
from lookalike.report.runs import (
    HUBNESS,
    MODEL,
    SCORE_FILES,
    THRESHOLD,
    learnt_states,
    model_name,
    run_name,
    source_of,
    state_in,
    states_asked_for,
)
from lookalike.storage.digests import digest_of
from lookalike.text import did_you_mean
from lookalike.training.given import is_given, runs_of

# A run is a recipe trained from a seed, or embeddings from elsewhere.
RECIPES_AND_SEEDS = [
    of_run for recipe in config["runs"] for of_run in runs_of(recipe, config)
]
RUNS = [run_name(recipe, seed) for recipe, seed in RECIPES_AND_SEEDS]
# The recipes whose embeddings come from elsewhere, also those that are not in `runs`: their runs
# can be asked for by name, as all can.
GIVEN = {name: recipe for name, recipe in config["recipes"].items() if is_given(recipe)}
GIVEN_RUNS = [
    run_name(*of_run) for recipe in GIVEN for of_run in runs_of(recipe, config)
]
GIVEN_IN_RUNS = {recipe: GIVEN[recipe] for recipe in config["runs"] if recipe in GIVEN}
RUNS_WITH_MODEL = [run for run in RUNS if run not in GIVEN_RUNS]
# The states in which each run is scored: the trained network, before its first step, and what
# `search` asks for.
STATES_OF = {
    name: states_asked_for(config["search"], given=name in GIVEN_RUNS) for name in RUNS
}
# As the steps are told of them: recipe, seed and names of states.
RUNS_IN_STATES = [
    (*of_run, [state.name for state in STATES_OF[run]])
    for of_run, run in zip(RECIPES_AND_SEEDS, RUNS)
]
# A model is a run in one of its states.
MODEL_FOLDERS = [model_name(run, state) for run in RUNS for state in STATES_OF[run]]
OTHER_FOLDERS = sorted({*MODEL_FOLDERS} - {*RUNS})
# What the search side learns from the embedded training images; nothing where no run embeds them.
LEARNT = learnt_states(config["search"], [run in GIVEN_RUNS for run in RUNS])
HUBNESS_FILES = [
    f"<results>/{model}/{HUBNESS}"
    for model in MODEL_FOLDERS
    if config["search"]["hubness"]
]
# The image settings of each recipe, and by their digest.
IMAGES = {recipe: image_settings(config, recipe) for recipe in embedded_recipes(config)}
IMAGES_BY_DIGEST = {digest_of(image): image for image in IMAGES.values()}
# What the cache may hold of decoded training images. It decides no result.
PIXEL_STORE_GB = config["image"]["pixel_store_gb"]


# Pages beside the report: what changed from the baseline to each recipe, where these are many.
CHANGES = [
    f"<results>/changes/{run}.html"
    for run in runs_with_page(RECIPES_AND_SEEDS, config["report"]["baseline"])
]
# What is made of scores: nothing where labels say nothing.
COMPARED = (
    [
        "<results>/report.html",
        *CHANGES,
        "<results>/comparison.csv",
        "<results>/comparison.parquet",
        "<results>/comparison.md",
        "<results>/comparison.tex",
    ]
    if DATA.labelled
    else []
)


def files_of(run, state):
    """What a run has of its own in a state; without scores where labels say nothing."""
    lacking = () if DATA.labelled else (*SCORE_FILES, THRESHOLD)
    if run in GIVEN_RUNS:
        lacking = (*lacking, *MODEL)
    return [name for name in state.files if name not in lacking]


def files_of_runs():
    """Every file that the runs have of their own, in all states that they are scored in."""
    return [
        f"<results>/{model_name(run, state)}/{name}"
        for run in RUNS
        for state in STATES_OF[run]
        for name in files_of(run, state)
    ]


def table_of(split):
    """Input function: the embeddings that a model is scored by; its own, or of what it is made of."""

    def table(wildcards):
        run, file = Path(wildcards.model).parts[0], f"embeddings/{split}.parquet"
        model = source_of(run, state_in(wildcards.model), file)
        return f"{config['results']}/{model}/{file}"

    return table


def labels_of(what):
    """What Snakemake's own report calls a file, so that two reports are told apart.

    A brace in it would be a wildcard's.
    """
    named = {
        "what": what,
        "title": config["report"]["title"],
        "results": config["results"],
    }
    return {
        key: text.replace("{", "(").replace("}", ")") for key, text in named.items()
    }


def asked_of_search(name):
    """What the settings under `search` say of a state; an error where they ask for none."""
    with errors_without_traceback():
        if config["search"][name] is False:
            raise LookalikeError(
                f"search.{name} is false, so nothing says how to make it; set it to true"
            )
        return config["search"][name]


@cache
def recipe_of(run):
    """The name of a run's recipe: `default` of default.0. A run that cannot be ends Snakemake."""
    with errors_without_traceback():
        return recipe_and_seed(run, config["recipes"])[0]


def seed_of(run):
    """A run's seed: 0 of default.0."""
    with errors_without_traceback():
        return recipe_and_seed(run, config["recipes"])[1]


def pattern_of(runs):
    """What the names of these runs look like, as a regular expression; of none, nothing does."""
    return "|".join(map(re.escape, runs)) or "(?!)"


def images_of(digest):
    """The image settings of a digest, as the files under pixels/ are called by."""
    with errors_without_traceback():
        if digest not in IMAGES_BY_DIGEST:
            raise LookalikeError(
                f"no recipe has the image settings {digest}"
                f"{did_you_mean(digest, IMAGES_BY_DIGEST)}; a plain run makes what is needed"
            )
        return IMAGES_BY_DIGEST[digest]
