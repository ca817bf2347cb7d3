# The demo's data: the same emoji as drawn by different hands.


rule demo:
    output:
        train=local(directory("resources/demo/train")),
        query=local(directory("resources/demo/query_images")),
        gallery=local(directory("resources/demo/gallery")),
        train_labels=local("resources/demo/train_image_info.json"),
        test_labels=local("resources/demo/test_image_info.json"),
        licences=local("resources/demo/LICENSES.txt"),
    log:
        "<results>/logs/demo.log",
    benchmark:
        "<results>/benchmarks/demo.tsv"
    localrule: True
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        seed=0,
        train_classes=400,
        query_classes=150,
        distractor_classes=200,
        code=code_of("demo"),
        software=software_of("demo"),
    message:
        "demo: drawing emoji into resources/demo"
    script:
        "../workflow/scripts/demo.py"
