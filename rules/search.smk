# What the search side adds to a trained network: each a state of the run, where `search` asks for it.
# Every rule has the manifests and the selection among its inputs: read by nothing here, they make
# Snakemake look again at the jobs once these turn out to be what they were.
from lookalike.data.protocol import exclusion

# Of the metrics, what decides which images may be neighbours; the param `attributes` sees whether a
# column that is used changed.
COMPARED_BY = {
    "exclude": exclusion(config["metrics"])[0],
    "within": config["metrics"]["within"],
}


rule fit_projection:
    input:
        training="<results>/{run}/embeddings/train.parquet",
        manifest=learnable_manifest,
        selection=WINNER,
    output:
        projection="<results>/{run}/{projected}/projection.safetensors",
        summary="<results>/{run}/{projected}/search.json",
    log:
        "<results>/logs/{run}/fit_{projected}.log",
    benchmark:
        "<results>/benchmarks/{run}/fit_{projected}.tsv"
    resources:
        mem_mb=need(memory_mb, "transform", work_of_reading),
        runtime=need(minutes, "transform", work_of_reading),
    params:
        settings=lambda wildcards: asked_of_search(wildcards.projected),
        code=code_of("fit_projection"),
        software=software_of("fit_projection"),
    message:
        "{wildcards.projected}: principal components of the training images by {wildcards.run}"
    script:
        "../workflow/scripts/fit_projection.py"


rule project:
    input:
        projection="<results>/{run}/{projected}/projection.safetensors",
        query="<results>/{run}/embeddings/query.parquet",
        gallery="<results>/{run}/embeddings/gallery.parquet",
        query_manifest=manifest_of("query"),
        gallery_manifest=manifest_of("gallery"),
        selection=WINNER,
    output:
        query="<results>/{run}/{projected}/embeddings/query.parquet",
        gallery="<results>/{run}/{projected}/embeddings/gallery.parquet",
    log:
        "<results>/logs/{run}/{projected}.log",
    benchmark:
        "<results>/benchmarks/{run}/{projected}.tsv"
    resources:
        mem_mb=need(memory_mb, "transform", work_of_transforming),
        runtime=need(minutes, "transform", work_of_transforming),
    params:
        code=code_of("project"),
        software=software_of("project"),
    message:
        "{wildcards.projected}: {wildcards.run}"
    script:
        "../workflow/scripts/project.py"


rule quantize:
    input:
        query="<results>/{run}/embeddings/query.parquet",
        gallery="<results>/{run}/embeddings/gallery.parquet",
        query_manifest=manifest_of("query"),
        gallery_manifest=manifest_of("gallery"),
        selection=WINNER,
    output:
        query="<results>/{run}/quantized/embeddings/query.parquet",
        gallery="<results>/{run}/quantized/embeddings/gallery.parquet",
        summary="<results>/{run}/quantized/search.json",
    log:
        "<results>/logs/{run}/quantize.log",
    benchmark:
        "<results>/benchmarks/{run}/quantize.tsv"
    resources:
        mem_mb=need(memory_mb, "transform", work_of_transforming),
        runtime=need(minutes, "transform", work_of_transforming),
    params:
        settings=lambda wildcards: asked_of_search("quantized"),
        code=code_of("quantize"),
        software=software_of("quantize"),
    message:
        "quantized: {wildcards.run}"
    script:
        "../workflow/scripts/quantize.py"


rule expand:
    input:
        query="<results>/{run}/embeddings/query.parquet",
        gallery="<results>/{run}/embeddings/gallery.parquet",
        query_manifest=manifest_of("query"),
        gallery_manifest=manifest_of("gallery"),
        selection=WINNER,
        query_attributes=ancient(attributes_of("query", config["metrics"]["within"])),
        gallery_attributes=ancient(
            attributes_of("gallery", config["metrics"]["within"])
        ),
    output:
        query="<results>/{run}/expanded/embeddings/query.parquet",
        summary="<results>/{run}/expanded/search.json",
    log:
        "<results>/logs/{run}/expand.log",
    benchmark:
        "<results>/benchmarks/{run}/expand.tsv"
    threads: max(1, CORES // 2)
    resources:
        mem_mb=need(memory_mb, "metrics", work_of_scoring),
        runtime=need(minutes, "metrics", work_of_scoring),
    params:
        settings=lambda wildcards: asked_of_search("expanded"),
        metrics=COMPARED_BY,
        attributes=attributes_within,
        query_folder=str(DATA.folder("query")),
        gallery_folder=str(DATA.folder("gallery")),
        code=code_of("expand"),
        software=software_of("expand"),
    message:
        "expanded: {wildcards.run}"
    script:
        "../workflow/scripts/expand.py"


rule augment:
    input:
        query="<results>/{run}/embeddings/query.parquet",
        gallery="<results>/{run}/embeddings/gallery.parquet",
        query_manifest=manifest_of("query"),
        gallery_manifest=manifest_of("gallery"),
        selection=WINNER,
        query_attributes=ancient(attributes_of("query", config["metrics"]["within"])),
        gallery_attributes=ancient(
            attributes_of("gallery", config["metrics"]["within"])
        ),
    output:
        gallery="<results>/{run}/augmented/embeddings/gallery.parquet",
        summary="<results>/{run}/augmented/search.json",
    log:
        "<results>/logs/{run}/augment.log",
    benchmark:
        "<results>/benchmarks/{run}/augment.tsv"
    threads: max(1, CORES // 2)
    resources:
        mem_mb=need(memory_mb, "metrics", work_of_neighbours),
        runtime=need(minutes, "metrics", work_of_neighbours),
    params:
        settings=lambda wildcards: asked_of_search("augmented"),
        metrics=COMPARED_BY,
        attributes=attributes_within,
        query_folder=str(DATA.folder("query")),
        gallery_folder=str(DATA.folder("gallery")),
        code=code_of("augment"),
        software=software_of("augment"),
    message:
        "augmented: {wildcards.run}"
    script:
        "../workflow/scripts/augment.py"


rule scale:
    input:
        query="<results>/{run}/embeddings/query.parquet",
        gallery="<results>/{run}/embeddings/gallery.parquet",
        query_manifest=manifest_of("query"),
        gallery_manifest=manifest_of("gallery"),
        selection=WINNER,
        query_attributes=ancient(attributes_of("query", config["metrics"]["within"])),
        gallery_attributes=ancient(
            attributes_of("gallery", config["metrics"]["within"])
        ),
    output:
        query="<results>/{run}/scaled/embeddings/query.parquet",
        gallery="<results>/{run}/scaled/embeddings/gallery.parquet",
        summary="<results>/{run}/scaled/search.json",
    log:
        "<results>/logs/{run}/scale.log",
    benchmark:
        "<results>/benchmarks/{run}/scale.tsv"
    threads: max(1, CORES // 2)
    resources:
        mem_mb=need(memory_mb, "metrics", work_of_neighbours),
        runtime=need(minutes, "metrics", work_of_neighbours),
    params:
        settings=lambda wildcards: asked_of_search("scaled"),
        metrics=COMPARED_BY,
        attributes=attributes_within,
        query_folder=str(DATA.folder("query")),
        gallery_folder=str(DATA.folder("gallery")),
        code=code_of("scale"),
        software=software_of("scale"),
    message:
        "scaled: {wildcards.run}"
    script:
        "../workflow/scripts/scale.py"


rule rerank:
    input:
        query="<results>/{run}/embeddings/query.parquet",
        gallery="<results>/{run}/embeddings/gallery.parquet",
        query_manifest=scorable_manifest,
        gallery_manifest=manifest_of("gallery"),
        selection=WINNER,
        query_attributes=ancient(attributes_of("query", SCORING_COLUMNS)),
        gallery_attributes=ancient(attributes_of("gallery", SCORING_COLUMNS)),
    output:
        metrics="<results>/{run}/reranked/metrics.json",
        per_query="<results>/{run}/reranked/per_query.parquet",
        rankings="<results>/{run}/reranked/rankings.parquet",
    log:
        "<results>/logs/{run}/rerank.log",
    benchmark:
        "<results>/benchmarks/{run}/rerank.tsv"
    threads: max(1, CORES // 2)
    resources:
        mem_mb=need(memory_mb, "metrics", work_of_reranking),
        runtime=need(minutes, "metrics", work_of_reranking),
    params:
        settings=lambda wildcards: asked_of_search("reranked"),
        metrics=lookup(dpath="metrics", within=config),
        of_training_classes=of_training_classes,
        attributes=attributes_scored,
        query_folder=str(DATA.folder("query")),
        gallery_folder=str(DATA.folder("gallery")),
        code=code_of("rerank"),
        software=software_of("rerank"),
    message:
        "reranked: {wildcards.run}"
    script:
        "../workflow/scripts/rerank.py"


rule hubness:
    input:
        metrics="<results>/{model}/metrics.json",
        rankings="<results>/{model}/rankings.parquet",
        query_manifest=manifest_of("query"),
        gallery_manifest=manifest_of("gallery"),
        selection=WINNER,
    output:
        "<results>/{model}/hubness.json",
    log:
        "<results>/logs/{model}/hubness.log",
    benchmark:
        "<results>/benchmarks/{model}/hubness.tsv"
    localrule: True
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        settings=lambda wildcards: asked_of_search("hubness"),
        code=code_of("hubness"),
        software=software_of("hubness"),
    message:
        "hubness: {wildcards.model}"
    script:
        "../workflow/scripts/hubness.py"
