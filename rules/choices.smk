# What is chosen from sweeps: a run whose settings a choice decides has them once it is made.
from pathlib import Path

from lookalike.sweeps.plan import on_all_classes
from snakemake.exceptions import IncompleteCheckpointException

# A sweep from which winners are chosen has candidates, of which nothing is made but a model and
# its scores while it was trained; which of them win is known once these are there.
CHOSEN_FROM = SWEEPS.chosen_from(config["runs"])
SELECTION_OF = {
    final: selection
    for selection in SWEEPS.selections.values()
    for final in selection.finals.values()
}
CANDIDATES = [
    run
    for selection in CHOSEN_FROM.values()
    for rung in range(selection.rungs)
    for candidate in selection.entrants(
        rung, [one.name for one in selection.candidates]
    )
    for run in selection.runs(candidate, rung, config["seeds"])
]
ALL_CANDIDATES = {*CANDIDATES}


def decision_of(selection, rung):
    """The file that says which candidates of a rung go on, or in the last one, win.

    It is a checkpoint's: asked for too early, it makes Snakemake look again once it is there.
    """
    sweep = selection.sweep
    return checkpoints.select.get(sweep=sweep, rung=str(rung)).output[0]


def selection_of_run(run):
    """The file that says by which settings a run is trained; none where its recipe says so."""
    selection = SELECTION_OF.get(recipe_of(run))
    return [] if selection is None else decision_of(selection, selection.rungs - 1)


def selections_of_runs(wildcards):
    """Input function: the files that say by which settings the winners among `runs` are trained."""
    return [
        decision_of(selection, selection.rungs - 1)
        for selection in CHOSEN_FROM.values()
    ]


def histories_of_rung(wildcards):
    """Input function: the histories of the candidates that are trained in a rung."""
    selection, rung = SWEEPS.selections[wildcards.sweep], int(wildcards.rung)
    survivors = []
    if rung:
        before = local_copy(decision_of(selection, rung - 1))
        survivors = content_of(before)["survivors"]
    return [
        f"{config['results']}/{run}/history.parquet"
        for candidate in selection.entrants(rung, survivors)
        for run in selection.runs(candidate, rung, config["seeds"])
    ]


def decision_before(wildcards):
    """Input function: what was decided in the rung before; none of the first one."""
    rung = int(wildcards.rung)
    selection = SWEEPS.selections[wildcards.sweep]
    return [] if rung == 0 else decision_of(selection, rung - 1)


def selection_of_model(wildcards):
    """Input function: as `selection_of_run`, of a run or a model."""
    model = wildcards.get("run") or wildcards.model
    return selection_of_run(Path(model).parts[0])


# Inputs, of jobs that follow from a choice and of those that follow from all: where none is made,
# thousands of jobs are not asked one by one. A choice that is made anew is no reason to run: other
# settings are.
WINNER = ancient(selection_of_model) if SELECTION_OF else []
WINNERS = ancient(selections_of_runs) if SELECTION_OF else []


def settled_recipe(run):
    """The recipe that has a run's settings: its own, or the winning candidate's."""
    recipe = recipe_of(run)
    decision = selection_of_run(run)
    return content_of(local_copy(decision))["winners"][recipe] if decision else recipe


def settings_of(run):
    """A run's complete recipe."""
    recipe = config["recipes"][settled_recipe(run)]
    return on_all_classes(recipe) if recipe_of(run) in SELECTION_OF else recipe


def image_of(run):
    """The image settings of a run."""
    return IMAGES[settled_recipe(run)]


def or_placeholder(ask, run, others):
    """What `ask` says of a run; of a winner that is not chosen yet, what `others` have of it.

    For what a job asks of a machine: Snakemake wants that before anything is chosen, and asks again.
    """
    try:
        return ask(run)
    except IncompleteCheckpointException:
        return others[recipe_of(run)]
