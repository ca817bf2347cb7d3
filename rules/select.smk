# Sweeps from which winners are chosen: by scores of held-out training images, rung by rung.


# Which candidates go on, or win. A checkpoint: what is trained then follows from it.
checkpoint select:
    input:
        histories=histories_of_rung,
        before=decision_before,
    output:
        "<results>/selection/{sweep}.{rung}.json",
    log:
        "<results>/logs/selection/{sweep}.{rung}.log",
    benchmark:
        "<results>/benchmarks/selection/{sweep}.{rung}.tsv"
    wildcard_constraints:
        sweep="|".join(SWEEPS.selections) or "(?!)",
        rung=r"\d+",
    localrule: True
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        selection=lambda wildcards: SWEEPS.selections[wildcards.sweep].to_dict(),
        seeds=config["seeds"],
        code=code_of("select"),
    message:
        "select: {wildcards.sweep}, rung {wildcards.rung}"
    script:
        "../workflow/scripts/select.py"


# One table of all.
rule selection:
    input:
        [
            f"<results>/selection/{name}.{rung}.json"
            for name, selection in CHOSEN_FROM.items()
            for rung in range(selection.rungs)
        ],
    output:
        "<results>/selection.json",
    log:
        "<results>/logs/selection.log",
    benchmark:
        "<results>/benchmarks/selection.tsv"
    localrule: True
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_of("selection"),
    message:
        "selection: what was chosen in {input}"
    script:
        "../workflow/scripts/selection.py"


# Asked for where there is anything to choose from.
SELECTED = ["<results>/selection.json"] if CHOSEN_FROM else []
