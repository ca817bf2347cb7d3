# What the stages share: settings, and how jobs are told.
# Every job of a cluster parses this again, so nothing here, nor in what is included after it, imports
# torch or reads an image.
import gc
import signal
import sys
from contextlib import contextmanager

from lookalike.config import notes_on_idle_recipes, resolve_sweeps
from lookalike.data.layout import DataSettings
from lookalike.errors import LookalikeError
from lookalike.jobs.surroundings import names_are_unicode
from lookalike.old_names import notes_on_old_names
from lookalike.retrieval.search_settings import notes_on_given
from lookalike.storage.yaml_files import read_yaml
from snakemake.logging import logger

# Slurm's warning before a job's time limit goes to every process of the job. Training saves its
# state on it (lookalike.jobs.interruption); Snakemake, which started it, must not die of it.
if workflow.remote_exec and hasattr(signal, "SIGUSR1"):
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)

# Of thousands of jobs there are millions of objects, hardly one of them garbage: to look for it as
# often as Python does takes an eighth of the time of planning them.
gc.set_threshold(200_000, 20, 100)

# The seed's layout as `rule demo` makes it.
DEMO = "resources/demo"


@contextmanager
def errors_without_traceback():
    """Lookalike's errors end Snakemake with their message; it would put a traceback around them."""
    try:
        yield
    except LookalikeError as error:
        logger.error(str(error))
        sys.exit(1)


@errors_without_traceback()
def resolve_config():
    """Config.yaml and what was laid over it, as one checked mapping with every default.

    And what became of the swept recipes in it.
    """
    schema = read_yaml(workflow.source_path("../workflow/schemas/config.schema.yaml"))
    given = workflow.config_settings
    # Imported as a module, it was given its settings.
    if workflow.modifier.skip_configfile:
        return resolve_layers([config], schema)
    # One by one: merged by Snakemake, a changed name would keep the old name's settings.
    layers = [*map(read_yaml, given.configfiles), dict(given.config)]
    if not given.replace_workflow_config:
        layers.insert(0, read_yaml(workflow.source_path("../config.yaml")))
    return resolve_layers(layers, schema)


def resolve_layers(layers, schema):
    """As `resolve_config`, of layers; says, once, what in them is old, or idle."""
    if workflow.is_main_process:
        for note in notes_on_old_names(layers):
            logger.info(note)
    settings, sweeps = resolve_sweeps(layers, schema)
    shipped = schema["properties"]["recipes"]["properties"]
    if workflow.is_main_process:
        for note in notes_on_idle_recipes(layers, shipped, settings["runs"], sweeps):
            logger.info(note)
        for note in notes_on_given(settings):
            logger.info(note)
    return settings, sweeps


@errors_without_traceback()
def require_names():
    """See that files can be named: jobs inherit the locale."""
    if not names_are_unicode():
        raise LookalikeError(
            "by this locale (LC_ALL, LANG), files with other than its own letters cannot be named; "
            "start with PYTHONUTF8=1 set"
        )


require_names()
settings, SWEEPS = resolve_config()
config.clear()
config.update(settings)

DATA = DataSettings.from_dict(config["data"])
LABEL_FILES = {
    "train_labels": DATA.train_labels_path,
    "test_labels": DATA.test_labels_path,
}


def untracked(value):
    """A param that says where something is or how it is done, not what is made.

    Snakemake re-runs nothing for a param that takes `input` (its issue 3895): images or a cache
    that moved, or another device, are no reason to train again.
    """
    return lambda wildcards, input: value


def untracked_of(value):
    """The same of a function of the wildcards."""
    return lambda wildcards, input: value(wildcards)
