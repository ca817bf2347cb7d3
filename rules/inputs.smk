# What jobs read and depend on: input and param functions.
import shlex
from functools import cache, lru_cache
from pathlib import Path

from lookalike.data.attributes import require_columns_named
from lookalike.data.checks import require_scorable, require_training_images
from lookalike.data.layout import ahead_of_clock, require_data
from lookalike.embedding.shards import shard_digest
from lookalike.errors import LookalikeError
from lookalike.report.runs import run_name
from lookalike.storage.digests import digest_of, digest_of_file
from lookalike.storage.files import read_json
from lookalike.training.decisive import DataFacts, decisive, for_data
from lookalike.training.given import is_given, require_files, runs_of
from lookalike.training.recipe import TrainedParts
from lookalike.training.trainable import require_images_for
from snakemake.io import get_flag_value
from snakemake.logging import logger


def label_files(wildcards):
    """Input function: the two JSON files; the demo's are made, anybody else's must be there.

    One dated ahead of this clock (another time zone, a zip) is left out: Snakemake refuses results
    older than an input, when the work is done. What is in it is seen by the param `folders`.
    """
    if DATA.root != Path(DEMO):
        with errors_without_traceback():
            require_data(DATA)
            if workflow.is_main_process and ATTRIBUTES_NAMED:
                require_columns_named(DATA.attributes_path, ATTRIBUTES_NAMED)
    for recipe, settings in GIVEN_IN_RUNS.items():
        with errors_without_traceback():
            require_files(recipe, settings)
    if workflow.is_main_process and RESULTS_ARE_HERE:
        force_damaged()
    files = dict(LABEL_FILES)
    if DATA.attributes:
        files["attributes"] = DATA.attributes_path
    # The user's files stay where they are when the workflow is imported under a prefix.
    return {
        name: local(str(path))
        for name, path in files.items()
        if not is_ahead_of_clock(path)
    }


@cache
def is_ahead_of_clock(path):
    """Whether a file's time is yet to come; says so, once."""
    ahead = ahead_of_clock(path)
    if ahead and workflow.is_main_process:
        logger.warning(
            f"{path} is dated {ahead} ahead of this machine's clock. That does no harm here; "
            f"touch {shlex.quote(str(path))} gives it the present time."
        )
    return bool(ahead)


def results_folder():
    """Where results lie; imported under a prefix, that is elsewhere than the settings say."""
    return Path(str(rules.manifest.output.report)).parent


def local_copy(file):
    """Path on this machine of a file that jobs are decided by; where it lies in storage, a copy."""
    path, stored = Path(str(file)), get_flag_value(file, "storage_object")
    # In a dry run it may not be made yet.
    if stored is not None and stored.exists():
        # A copy may be left from a run that had nothing to do, and be an old one.
        if not path.exists() or path.stat().st_mtime < stored.mtime():
            path.parent.mkdir(parents=True, exist_ok=True)
            stored.retrieve_object()
        # Snakemake may remember that it was not here; then it would not compare the bytes.
        workflow.iocache.exists_local[file] = True
    return path


def manifest_of(split):
    """Input function: the manifest of `split`.

    Asking the checkpoint makes Snakemake look at the job again after the manifests were made anew:
    where their bytes are equal, the job is not run.
    """

    def manifest(wildcards):
        file = checkpoints.manifest.get().output[split]
        local_copy(file)
        require_given()
        return file

    return manifest


def data_facts():
    """The content of data_report.json, once the manifest is made."""
    return content_of(local_copy(checkpoints.manifest.get().output.report))


def content_of(path):
    """The content of a JSON file, read again only where it is another one."""
    status = path.stat()
    return known_content(path, status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(maxsize=100)
def known_content(path, *status):
    """As `content_of`, of a file with that status."""
    return read_json(path)


def trainable_manifest(wildcards):
    """Input function: the training images' manifest; an error where the recipe cannot use them."""
    file = manifest_of("train")(wildcards)
    recipe = recipe_of(wildcards.run)
    if workflow.is_main_process and trains(recipe):
        with errors_without_traceback():
            require_images_for(data_facts(), recipe, settings_of(wildcards.run))
    return file


def learnable_manifest(wildcards):
    """Input function: the training images' manifest; an error where nothing can be learnt of it."""
    file = manifest_of("train")(wildcards)
    if workflow.is_main_process:
        with errors_without_traceback():
            require_training_images(data_facts(), [wildcards.projected])
    return file


@errors_without_traceback()
def require_labels_to_train():
    """See that nothing is to be trained where labels say nothing."""
    trained = [recipe for recipe in config["runs"] if trains(recipe)]
    if trained and not DATA.labelled:
        raise LookalikeError(
            f"data.labelled is false, so nothing can be trained: set train: none in the recipe "
            f"{trained[0]}, or name the labels and set data.labelled: true"
        )


@errors_without_traceback()
def parts_trained(run):
    """What of its network a run trains; embeddings from elsewhere have none, and end Snakemake."""
    settings, recipe = settings_of(run), recipe_of(run)
    if is_given(settings):
        raise LookalikeError(
            f"the embeddings of {recipe} come from elsewhere: there is no network of it, and no "
            f"other run than {run_name(*runs_of(recipe, config)[0])}, whose embeddings, metrics "
            "and threshold can be asked for"
        )
    return TrainedParts.from_setting(settings["train"])


def trains(recipe):
    """Whether a recipe trains anything; of a sweep to choose from, every candidate does."""
    settings = config["recipes"][recipe]
    return not is_given(settings) and TrainedParts.from_setting(settings["train"]).head


require_labels_to_train()


def pixels_to_train_on(wildcards):
    """Input function: the decoded training images; none where a backbone stays as it came."""
    run = wildcards.run
    if parts_trained(run).frozen_backbone:
        return []
    return f"{config['results']}/pixels/{digest_of(image_of(run))}.parquet"


def scorable_manifest(wildcards):
    """Input function: the queries' manifest; an error where there is nothing to score."""
    file = manifest_of("query")(wildcards)
    if workflow.is_main_process:
        with errors_without_traceback():
            require_scorable(data_facts(), config["metrics"])
            if SCORING_COLUMNS:
                manifests, tables = made_of_tests("{}"), made_of_tests("{}_attributes")
                require_findable_once(
                    *manifests, *tables, *map(digest_of_file, (*manifests, *tables))
                )
    return file


def made_of_tests(name):
    """Of query and gallery, a file that the manifest's step made, by its pattern."""
    made = checkpoints.manifest.get().output
    return [local_copy(made[name.format(split)]) for split in ("query", "gallery")]


def training_images(wildcards):
    """Param function: a digest of the manifest that training reads.

    For `--cache`, which would go by what the manifest was made from: the files' times.
    """
    return digest_of_file(local_copy(checkpoints.manifest.get().output.train))


def closed_set(wildcards):
    """Param function: whether most queries are of classes that are trained on."""
    return DataFacts.from_report(data_facts()).closed_set


def of_training_classes(wildcards):
    """Param function: whether any query is of a class that is trained on, where it decides."""
    if config["metrics"]["bootstrap_unit"] != "auto":
        return None
    return data_facts()["queries_of_training_classes"] > 0


def decisive_of_run(wildcards):
    """Param function: what of a run's recipe decides the weights, with these data.

    A file of weights that is not there ends Snakemake.
    """
    recipe = settings_of(wildcards.run)
    with errors_without_traceback():
        return decisive(for_data(recipe, DataFacts.from_report(data_facts())))


def validation_of_run(wildcards):
    """Param function: what of the training images a run holds out, with these data."""
    recipe = settings_of(wildcards.run)
    validation = for_data(recipe, DataFacts.from_report(data_facts()))["validation"]
    held_out = ("of", "classes", "seed", "fold", "folds")
    return {key: validation[key] for key in held_out if key in validation}


def held_out_answers(wildcards):
    """Input function: first answers of held-out images, where the threshold is chosen by them.

    Of embeddings from elsewhere there are none, so their threshold is chosen by the queries.
    """
    if config["threshold"]["from"] != "held_out" or wildcards.run in GIVEN_RUNS:
        return {}
    return {"held_out": f"{config['results']}/{wildcards.run}/held_out/answers.parquet"}


def manifest_of_split(wildcards):
    """Input function: the manifest of the split that the wildcards name."""
    return manifest_of(wildcards.split)(wildcards)


def contents_of_shard(wildcards):
    """Param function: a digest of the images in a part of a split.

    It decides alone whether the part is embedded again: the manifest, which every change of the
    split makes anew, is an ancient input there.
    """
    item = wildcards.scatteritem
    return shard_digest(
        local_copy(checkpoints.manifest.get().output[wildcards.split]), item
    )


def shards_of(wildcards):
    """Input function: the parts of a split that are embedded side by side, if it is divided."""
    if config["embed"]["shards"] == 1:
        return []
    folder = f"{config['results']}/{wildcards.model}/embeddings"
    return gather.embed(f"{folder}/{wildcards.split}.{{scatteritem}}.json")
