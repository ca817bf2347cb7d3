# What jobs depend on beside their inputs: code and libraries.
from functools import cache
from pathlib import Path

from lookalike.provenance import code_digest, module_digest, software
from lookalike.storage.digests import digest_of
from lookalike.training.variants import (
    SCORED_BY,
    built_by,
    modules_of,
    modules_of_network,
    network_built_by,
    scored_by,
)


def code_of(step, *others, also=()):
    """A digest of the code behind a step: its script, `others` beside rules/, modules by name.

    The files are those that Snakemake runs, wherever the package is installed.
    """
    return known_code(step, others, tuple(also))


# A job a run asks for the same, and there may be thousands.
@cache
def known_code(step, others, also):
    """As `code_of`, found once."""
    paths = [f"../workflow/scripts/{step}.py", *others]
    return code_digest(step, *map(workflow.source_path, paths), also=also)


def software_of(step, also=()):
    """The versions of the libraries that a step's results come from."""
    return dict(known_software(step, tuple(also)))


@cache
def known_software(step, also):
    """As `software_of`, found once."""
    script = workflow.source_path(f"../workflow/scripts/{step}.py")
    return software(step, script, also)


def variants_of_run(run):
    """The modules that a run's recipe names: its network, its loss and so on."""
    return modules_of(settings_of(run))


def code_of_run(run):
    """A digest of the code that trains a run."""
    recipe = settings_of(run)
    code = [code_of("train", also=variants_of_run(run)), built_by(recipe)]
    # What scores held-out images decides the weights where the best epoch's are kept.
    scored = scored_by(recipe)
    if run in ALL_CANDIDATES:
        # And which candidates win, by the epochs that are scored.
        scored = SCORED_BY
        code.append(recipe["validation"]["every"])
    return digest_of(
        [*code, module_digest(*scored, step="metrics")] if scored else code
    )


def network_of_model(model):
    """The settings of a model's network."""
    return settings_of(Path(model).parts[0])["model"]


def code_of_embedding(step, model):
    """A digest of the code that embeds by a model."""
    network = network_of_model(model)
    code = code_of(step, also=modules_of_network(network))
    return digest_of([code, network_built_by(network)])
