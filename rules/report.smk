from lookalike.data.layout import SPLITS
from lookalike.report.runs import COST, state_in
from lookalike.training.losses.table import LOSSES

# What the page is made of, by the names that the files include each other by. One by one, since
# whoever imports the workflow gets those files alone that are asked for.
SECTIONS = [
    "numbers",
    "queries",
    "search",
    "sweep",
    "changes",
    "setup",
    "training",
    "answers",
    "slices",
    "growth",
    "classes",
    "data",
    "use",
    "origin",
    "all",
]
TEMPLATES = {
    name: f"../workflow/report/{name}"
    for name in [
        "page.html.j2",
        "macros.html.j2",
        "changed.html.j2",
        "changes_page.html.j2",
        *(f"sections/{section}.html.j2" for section in SECTIONS),
    ]
}
# It comes with the package: other pages have it, too.
TEMPLATES["style.css"] = "../workflow/lookalike/report/style.css"


# With those that winners are chosen from.
SHOWN_RECIPES = [
    *config["runs"],
    *(one.name for selection in CHOSEN_FROM.values() for one in selection.candidates),
]
# What to do where a training taught nothing, as the records of the runs' losses say.
ADVICE = {
    loss: LOSSES[loss].remedy
    for loss in sorted(
        {
            config["recipes"][recipe]["loss"]["name"]
            for recipe in SHOWN_RECIPES
            if recipe not in GIVEN
        }
    )
}


rule report:
    input:
        comparison="<results>/comparison.parquet",
        data_report="<results>/data_report.json",
        train_manifest=manifest_of("train"),
        query_manifest=manifest_of("query"),
        attributes=attributes_of("query", config["report"]["slices"]),
        gallery_manifest=manifest_of("gallery"),
        selections=WINNERS,
        selection=SELECTED,
        # Of the folder of each run, then of those of its other states.
        metrics=expand("<results>/{run}/metrics.json", run=RUNS),
        of_states=expand("<results>/{model}/metrics.json", model=OTHER_FOLDERS),
        per_query=expand("<results>/{model}/per_query.parquet", model=MODEL_FOLDERS),
        rankings=expand("<results>/{model}/rankings.parquet", model=MODEL_FOLDERS),
        costs=[
            f"<results>/{model}/{COST}"
            for model in OTHER_FOLDERS
            if COST in state_in(model).files
        ],
        hubness=HUBNESS_FILES,
        threshold=expand("<results>/{run}/threshold.json", run=RUNS),
        history=expand("<results>/{run}/history.parquet", run=RUNS_WITH_MODEL),
        models=expand("<results>/{run}/model.json", run=RUNS_WITH_MODEL),
        embedded=expand("<results>/{run}/embeddings/gallery.json", run=RUNS_WITH_MODEL),
    output:
        page=report(
            "<results>/report.html",
            caption="../workflow/report/report.rst",
            category="Report",
            labels=labels_of("report"),
        ),
        markdown="<results>/comparison.md",
        latex="<results>/comparison.tex",
        changes=CHANGES,
    log:
        "<results>/logs/report.log",
    benchmark:
        "<results>/benchmarks/report.tsv"
    localrule: True
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        runs=RUNS_IN_STATES,
        given=GIVEN_IN_RUNS,
        report=lookup(dpath="report", within=config),
        k=lookup(dpath="metrics/k", within=config),
        hubness=bool(config["search"]["hubness"]),
        folders={split: str(DATA.folder(split)) for split in SPLITS},
        templates=untracked(
            {name: workflow.source_path(path) for name, path in TEMPLATES.items()}
        ),
        # Where and how this run was started decides nothing but what the page says of it.
        started=untracked_of(as_started),
        advice=ADVICE,
        code=code_of("report", *TEMPLATES.values()),
        software=software_of("report"),
    message:
        "report: {output.page}"
    script:
        "../workflow/scripts/report.py"
