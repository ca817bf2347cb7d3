from snakemake.utils import min_version

min_version("9.27")

from lookalike.report.runs import RUN_PATTERN, model_pattern


configfile: workflow.source_path("config.yaml")


include: "rules/common.smk"
include: "rules/runs.smk"
include: "rules/choices.smk"
include: "rules/attributes.smk"
include: "rules/given.smk"
include: "rules/inputs.smk"
include: "rules/code.smk"
include: "rules/resources.smk"
include: "rules/start.smk"


report: "workflow/report/workflow.rst"


# A file, built as docs/engines.md says; used only with `--software-deployment-method apptainer`.
container: "lookalike-0.1.0.sif"


pathvars:
    results=config["results"],


wildcard_constraints:
    run=RUN_PATTERN,
    model=model_pattern(),
    projected="whitened|truncated",
    split="query|gallery|train",
    image_digest="[0-9a-f]{16}",


include: "rules/demo.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/select.smk"
include: "rules/embed.smk"
include: "rules/evaluate.smk"
include: "rules/search.smk"
include: "rules/report.smk"


onstart:
    begin()


onsuccess:
    CONSOLE.say_outcome()


onerror:
    CONSOLE.say_failures()


# Snakemake makes a missing file again only where something asks for it: so this asks for all.
rule all:
    default_target: True
    input:
        COMPARED,
        "<results>/data_report.json",
        expand(
            "<results>/manifest/{split}.parquet", split=["train", "query", "gallery"]
        ),
        expand("<results>/{run}/history.parquet", run=RUNS_WITH_MODEL),
        SELECTED,
        files_of_runs(),
        HUBNESS_FILES,
    message:
        "all: everything is there"
