# The demo's data: the same emoji as drawn by different hands.


rule demo:
    output:
        train=directory("resources/demo/train"),
        query=directory("resources/demo/query_images"),
        gallery=directory("resources/demo/gallery"),
        train_labels="resources/demo/train_image_info.json",
        test_labels="resources/demo/test_image_info.json",
        licences="resources/demo/LICENSES.txt",
    log:
        "<results>/logs/demo.log",
    benchmark:
        "<results>/benchmarks/demo.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        seed=0,
        train_classes=400,
        query_classes=150,
        distractor_classes=200,
        code=code_digest("demo"),
    message:
        "demo: drawing emoji into resources/demo"
    script:
        "../workflow/scripts/demo.py"
