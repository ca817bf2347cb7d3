# A run's beginning: damaged results, folders that cannot be written, other runs, what kills left.
import logging
import sys
import time
from functools import cache, partial
from pathlib import Path

from lookalike.data.layout import require_apart
from lookalike.data.places import PLACES_FILE, other_images
from lookalike.jobs import preflight
from lookalike.jobs import lifeline
from lookalike.jobs.console import TERMINAL, Console
from lookalike.storage.cache import KINDS, is_done
from lookalike.jobs.devices import gpu_count
from lookalike.errors import LookalikeError
from lookalike.jobs.seals import broken, sealed
from lookalike.report.outcome import outcome_in_words
from lookalike.report.started import command_shown
from lookalike.storage.files import remove_half_written
from snakemake.io import IOFile, get_flag_value
from snakemake.logging import logger

# Where results lie in storage, that keeps its own checksums, and has no locks.
RESULTS_ARE_HERE = workflow.storage_settings.default_storage_provider is None


@cache
def force_damaged():
    """Have results made anew that are not what their step wrote. Called once jobs are looked at."""
    results = results_folder()
    paths = sealed(results)
    with errors_without_traceback():
        preflight.require_open(
            [*written_in(results), *paths], "results", writing=not workflow.dryrun
        )
    for path in broken(paths, renew=not workflow.dryrun):
        logger.warning(
            f"{path} is damaged: it is not what was written there. A run that asks for it makes it "
            "anew."
        )
        workflow.dag.forcefiles.add(str(path))
    unknown = [path for path in paths if not metadata_of(path)]
    if unknown:
        logger.warning(
            f"{len(unknown)} results under {results}, such as {unknown[0]}, were not made from this "
            "folder, or its .snakemake is gone: Snakemake cannot know what they were made of, and "
            "takes them as they are, whatever has changed. To be sure, add --forceall (decoded and "
            "embedded images come from the cache), or name other results: --config results=..."
        )


def written_in(results):
    """The folders of results that jobs write in; not all are there."""
    models = [results / model for model in [*MODEL_FOLDERS, *CANDIDATES]]
    return [
        *(
            results / name
            for name in (
                "",
                "logs",
                "benchmarks",
                "manifest",
                "pixels",
                "selection",
                "changes",
            )
        ),
        *(
            folder / name
            for folder in models
            for name in ("", "embeddings", "held_out")
        ),
    ]


def metadata_of(path):
    """What Snakemake has noted of how a file was made, in the folder it was started in."""
    return workflow.persistence.metadata(IOFile(str(path)))


def outcome():
    """What came of this run, in a line; empty where it was not asked for the report."""
    made = {job.rule.name: job for job in workflow.dag.jobs}
    if "report" not in made or "compare" not in made:
        return ""
    page, comparison = made["report"].output[0], Path(made["compare"].output.csv)
    if not comparison.exists():
        # It lies in storage, and its copy here is gone by now.
        return f"report: {get_flag_value(page, 'storage_object').query}"
    return outcome_in_words(Path(page), comparison)


# What Snakemake says on the terminal, in fewer words; another logger of the user's does as it likes.
CONSOLE = Console(
    next(
        (handler for handler in logger.handlers if handler.name == TERMINAL),
        logging.NullHandler(),
    ),
    outcome,
    heard=workflow.local_exec,
)
if workflow.is_main_process:
    CONSOLE.terminal.addFilter(CONSOLE)


# Looking for damage opens what is there, so a name that cannot be a folder is refused before.
if workflow.is_main_process and RESULTS_ARE_HERE:
    with errors_without_traceback():
        preflight.require_folder(Path(config["results"]), "results")
        preflight.require_folder(Path(config["cache"]), "cache")
        require_apart(DATA, Path(config["results"]), Path(config["cache"]))
        places = Path(config["results"]) / "manifest" / PLACES_FILE
        if others := other_images(places, DATA):
            logger.warning(
                f"{config['results']} has the results of other images, of {others}: this run makes "
                "them anew of these. To keep both, give each a folder of its own: "
                "results: some/folder"
            )


def as_started(wildcards):
    """How this run was started, as the page tells it.

    What others should not read is left out here already: Snakemake notes params, and shows them.
    """
    return {
        "command": command_shown(sys.argv),
        "settings": [str(path) for path in workflow.config_settings.configfiles],
        "folder": str(Path.cwd()),
        "data_root": config["data"]["root"],
        "results": config["results"],
        "cores": workflow.resource_settings.cores,
        "executor": "local" if workflow.local_exec else workflow.executor_plugin.name,
        "in_storage": not RESULTS_ARE_HERE,
    }


def begin():
    """See that this run can work, and that no other one is at work in the same place."""
    results = Path(config["results"])
    with errors_without_traceback():
        if workflow.local_exec and config["device"] == "cuda" and not gpu_count():
            raise LookalikeError(
                "device: cuda was asked for, but there is none on this machine; set `device: auto` "
                "or `device: cpu`"
            )
        if (
            workflow.local_exec
            and config["device"] == "mps"
            and sys.platform != "darwin"
        ):
            raise LookalikeError(
                "device: mps was asked for, which only Apple's computers have; set `device: auto` "
                "or `device: cpu`"
            )
        preflight.require_writable(Path(config["cache"]), "cache")
        cache_folder = Path(config["cache"])
        preflight.require_open(
            [cache_folder / kind for kind in KINDS],
            "cache",
            # Of no concern is what others keep there, or a job of theirs is about to write.
            inside=partial(is_done, cache_folder),
        )
        if RESULTS_ARE_HERE:
            preflight.require_writable(results, "results")
            preflight.lock_results(results)
            for path in preflight.give_present_time(sealed(results)):
                logger.info(
                    f"{path} was dated ahead of this clock: it has the present time now."
                )
    # On a cluster, jobs of a run that is gone may still be at work.
    age = 0 if workflow.local_exec else 24 * 60 * 60
    remove_half_written(written_in(results), time.time() - age)
    if workflow.local_exec:
        lifeline.announce_run()
        lifeline.forward_sigterm()
