def label_files(wildcards):
    """The two JSON files; the demo's are made, anybody else's must be there."""
    problem = None if DATA.root == Path(DEMO) else explain_missing(DATA)
    if problem:
        raise WorkflowError(problem)
    return {"train_labels": str(DATA.train_labels_path), "test_labels": str(DATA.test_labels_path)}


checkpoint manifest:
    input:
        unpack(label_files),
    output:
        train="<results>/manifest/train.parquet",
        query="<results>/manifest/query.parquet",
        gallery="<results>/manifest/gallery.parquet",
        report="<results>/data_report.json",
    params:
        data=lookup(dpath="data", within=config),
        # Computed when the job is looked at: the demo's images are made after parsing.
        folders=lambda wildcards: fingerprint(DATA),
        cache=config["cache"],
        code=code_digest("manifest"),
    threads: workflow.cores or 4
    resources:
        mem_mb=2000,
        runtime=60,
    log:
        "<results>/logs/manifest.log",
    benchmark:
        "<results>/benchmarks/manifest.tsv"
    message:
        "manifest: scanning and checking the images under {params.data[root]}"
    script:
        "../workflow/scripts/manifest.py"


rule pixels:
    input:
        manifest=manifest_of("train"),
    output:
        index="<results>/pixels/{image_digest}.parquet",
    params:
        folder=str(DATA.folder("train")),
        image=lambda wildcards: IMAGES_BY_DIGEST[wildcards.image_digest],
        cache=config["cache"],
        code=code_digest("pixels"),
    threads: workflow.cores or 4
    resources:
        mem_mb=2000,
        runtime=60,
    log:
        "<results>/logs/pixels/{image_digest}.log",
    benchmark:
        "<results>/benchmarks/pixels/{image_digest}.tsv"
    message:
        "pixels: decoding the training images at {params.image[size]} x {params.image[size]}"
    script:
        "../workflow/scripts/pixels.py"
