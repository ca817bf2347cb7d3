# What the stages share: settings, where things are, what a job depends on.
# Every job of a cluster parses this again, so nothing here imports torch or reads an image.
import gc
import re
import shlex
import signal
import sys
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path

from lookalike.data.attributes import require_columns_named
from lookalike.data.checks import (
    require_folds,
    require_pairs,
    require_scorable,
    require_trainable,
)
from lookalike.provenance import code_digest, module_digest, software
from lookalike.config import (
    embedded_recipes,
    image_settings,
    notes_on_old_names,
    recipe_and_seed,
    resolve_sweeps,
)
from lookalike.storage.yaml_files import read_yaml
from lookalike.data.layout import (
    SPLITS,
    DataSettings,
    ahead_of_clock,
    fingerprint,
    require_apart,
    require_data,
)
from lookalike.data.protocol import (
    attributes_named,
    columns_digest,
    exclusion,
    require_findable,
    attributes_scored_by,
)
from lookalike.storage.digests import digest_of, digest_of_file
from lookalike.errors import LookalikeError
from lookalike.sweeps.plan import on_all_classes
from lookalike.text import did_you_mean
from lookalike.storage.files import read_json
from lookalike.report.runs import (
    COST,
    EMBEDDINGS,
    HUBNESS,
    MAIN,
    MODEL,
    RUN_PATTERN,
    SCORE_FILES,
    THRESHOLD,
    model_name,
    model_pattern,
    run_name,
    source_of,
    state_in,
    states_asked_for,
)
from lookalike.embedding.shards import shard_digest
from lookalike.jobs.surroundings import names_are_unicode
from lookalike.training.decisive import DataFacts, decisive, for_data
from lookalike.training.given import given_files, is_given, require_files, runs_of
from lookalike.training.recipe import TrainedParts, summary_of
from lookalike.training.losses.table import LOSSES
from lookalike.training.variants import (
    built_by,
    modules_of,
    modules_of_network,
    network_built_by,
    SCORED_BY,
    scored_by,
)
from snakemake.exceptions import IncompleteCheckpointException
from snakemake.io import get_flag_value
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
    """As `resolve_config`, of layers; says, once, which names in them are old ones."""
    if workflow.is_main_process:
        for note in notes_on_old_names(layers):
            logger.info(note)
    return resolve_sweeps(layers, schema)


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
# What settings name of data.attributes, by the setting; and what of it decides rankings.
with errors_without_traceback():
    ATTRIBUTES_NAMED = attributes_named(config)
SCORED_BY = attributes_scored_by(config["metrics"])
# By split, what the table says of its images; none where there is no table.
ATTRIBUTE_TABLES = {
    f"{split}_attributes": f"<results>/manifest/attributes_{split}.parquet"
    for split in SPLITS
    if DATA.attributes
}
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
    run: states_asked_for(config["search"], given=run in GIVEN_RUNS) for run in RUNS
}
# As the steps are told of them: recipe, seed and names of states.
RUNS_IN_STATES = [
    (*of_run, [state.name for state in STATES_OF[run]])
    for of_run, run in zip(RECIPES_AND_SEEDS, RUNS)
]
# A model is a run in one of its states.
MODEL_FOLDERS = [model_name(run, state) for run in RUNS for state in STATES_OF[run]]
OTHER_FOLDERS = sorted({*MODEL_FOLDERS} - {*RUNS})
HUBNESS_FILES = [
    f"<results>/{model}/{HUBNESS}"
    for model in MODEL_FOLDERS
    if config["search"]["hubness"]
]
# A sweep from which winners are chosen has candidates, of which nothing is made but a model and
# its scores while it was trained; which of them win is known once these are there.
CHOSEN_FROM = {
    name: SWEEPS.selections[name]
    for name in SWEEPS.selections
    if {*SWEEPS.runs[name]} & {*config["runs"]}
}
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
# The image settings of each recipe, and by their digest.
IMAGES = {recipe: image_settings(config, recipe) for recipe in embedded_recipes(config)}
IMAGES_BY_DIGEST = {digest_of(image): image for image in IMAGES.values()}
# What the cache may hold of decoded training images. It decides no result.
PIXEL_STORE_GB = config["image"]["pixel_store_gb"]


# What is made of scores: nothing where labels say nothing.
COMPARED = (
    [
        "<results>/report.html",
        "<results>/comparison.csv",
        "<results>/comparison.parquet",
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


def images_of(digest):
    """The image settings of a digest, as the files under pixels/ are called by."""
    with errors_without_traceback():
        if digest not in IMAGES_BY_DIGEST:
            raise LookalikeError(
                f"no recipe has the image settings {digest}"
                f"{did_you_mean(digest, IMAGES_BY_DIGEST)}; a plain run makes what is needed"
            )
        return IMAGES_BY_DIGEST[digest]


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


@cache
def require_given():
    """See that embeddings from elsewhere fit the manifest, before anything else is done with it."""
    if not (workflow.is_main_process and GIVEN_IN_RUNS):
        return
    # Not above: it reads tables, which takes libraries that are long to load.
    from lookalike.embedding.given_tables import given_tables, is_of_images

    made = checkpoints.manifest.get().output
    manifests = {split: local_copy(made[split]) for split in ("query", "gallery")}
    for recipe, settings in GIVEN_IN_RUNS.items():
        files = given_files(settings)
        run = run_name(*runs_of(recipe, config)[0])
        brought = {
            split: results_folder() / run / f"embeddings/{split}.parquet"
            for split in files
        }
        # What was brought since the files were written was looked at then.
        if is_newer(brought.values(), files.values()) and all(
            is_of_images(path, manifests[split]) for split, path in brought.items()
        ):
            continue
        with errors_without_traceback():
            require_files(recipe, settings)
            given_tables(
                recipe,
                files,
                manifests,
                settings.get("score"),
                labelled=DATA.labelled,
            )


def is_newer(made, sources):
    """Whether files here are all there, and newer than all that they are made of."""
    if not RESULTS_ARE_HERE or not all(path.exists() for path in (*made, *sources)):
        return False
    oldest = min(path.stat().st_mtime for path in made)
    return oldest > max(path.stat().st_mtime for path in sources)


def given_inputs(wildcards):
    """Input function: the tables of a run whose embeddings come from elsewhere.

    As with the label files, one dated ahead of this clock is left out.
    """
    tables = given_files(GIVEN[recipe_of(wildcards.run)])
    with errors_without_traceback():
        require_files(recipe_of(wildcards.run), GIVEN[recipe_of(wildcards.run)])
    return {
        split: local(str(path))
        for split, path in tables.items()
        if not is_ahead_of_clock(path)
    }


def given_ahead_of_clock(wildcards):
    """Param function: a digest of each of them that is no input for that reason."""
    tables = given_files(GIVEN[recipe_of(wildcards.run)])
    return {
        split: digest_of_file(path)
        for split, path in tables.items()
        if is_ahead_of_clock(path)
    }


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
            recipe_settings = settings_of(wildcards.run)
            require_pairs(data_facts(), recipe)
            require_trainable(data_facts(), recipe, recipe_settings["batch"])
            require_folds(data_facts(), recipe, recipe_settings["validation"])
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
            if SCORED_BY:
                manifests, tables = made_of_tests("{}"), made_of_tests("{}_attributes")
                require_findable_once(
                    *manifests, *tables, *map(digest_of_file, (*manifests, *tables))
                )
    return file


def made_of_tests(name):
    """Of query and gallery, a file that the manifest's step made, by its pattern."""
    made = checkpoints.manifest.get().output
    return [local_copy(made[name.format(split)]) for split in ("query", "gallery")]


@cache
def require_findable_once(*files_and_digests):
    """See, once for each content, that there is something to find where attributes decide it."""
    of = ("query", "gallery")
    require_findable(
        dict(zip(of, files_and_digests)),
        dict(zip(of, files_and_digests[2:])),
        config["metrics"],
    )


def attributes_of(split, columns):
    """Input function: what data.attributes says of a split's images; nothing without columns."""

    def attributes(wildcards):
        if not columns:
            return []
        file = checkpoints.manifest.get().output[f"{split}_attributes"]
        local_copy(file)
        return file

    return attributes


def attributes_scored(wildcards):
    """Param function: a digest of the attributes that decide rankings.

    It decides alone: the tables, which change with every column, are ancient inputs there.
    """
    if not SCORED_BY:
        return None
    tables = made_of_tests("{}_attributes")
    return digest_of_attributes(*tables, tuple(SCORED_BY), *map(digest_of_file, tables))


def attributes_within(wildcards):
    """Param function: the same of those alone that decide which images may be neighbours."""
    within = config["metrics"]["within"]
    if not within:
        return None
    tables = made_of_tests("{}_attributes")
    return digest_of_attributes(*tables, tuple(within), *map(digest_of_file, tables))


@cache
def digest_of_attributes(query, gallery, columns, *digests):
    """Of the tables of query and gallery, in some columns."""
    return [columns_digest(table, columns) for table in (query, gallery)]


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


def untracked(value):
    """A param that says where something is or how it is done, not what is made.

    Snakemake re-runs nothing for a param that takes `input` (its issue 3895): images or a cache
    that moved, or another device, are no reason to train again.
    """
    return lambda wildcards, input: value


def untracked_of(value):
    """The same of a function of the wildcards."""
    return lambda wildcards, input: value(wildcards)
