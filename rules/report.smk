rule report:
    input:
        comparison="<results>/comparison.parquet",
        data_report="<results>/data_report.json",
        train_manifest=manifest_of("train"),
        query_manifest=manifest_of("query"),
        gallery_manifest=manifest_of("gallery"),
        metrics=expand("<results>/{model}/metrics.json", model=MODELS),
        per_query=expand("<results>/{model}/per_query.parquet", model=MODELS),
        rankings=expand("<results>/{model}/rankings.parquet", model=MODELS),
        history=expand("<results>/{run}/history.parquet", run=RUNS),
        models=expand("<results>/{run}/model.json", run=RUNS),
    output:
        report(
            "<results>/report.html",
            caption="../workflow/report/report.rst",
            category="Report",
        ),
    log:
        "<results>/logs/report.log",
    benchmark:
        "<results>/benchmarks/report.tsv"
    localrule: True
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        runs=RECIPES_AND_SEEDS,
        report=lookup(dpath="report", within=config),
        k=lookup(dpath="metrics/k", within=config),
        folders={split: str(DATA.folder(split)) for split in SPLITS},
        template=aside(workflow.source_path("../workflow/report/report.html.j2")),
        code=code_of("report", "../workflow/report/report.html.j2"),
        software=software_of("report"),
    message:
        "report: {output}"
    script:
        "../workflow/scripts/report.py"
