from pathlib import Path

from lookalike.jobs.step import step

with step(snakemake.log[0], snakemake.output):
    from lookalike.steps.select import write_decision
    from lookalike.sweeps.plan import Selection

    before = snakemake.input.get("before")
    write_decision(
        Selection.from_dict(snakemake.params.selection),
        int(snakemake.wildcards.rung),
        snakemake.params.seeds,
        {Path(path).parent.name: Path(path) for path in snakemake.input.histories},
        Path(before) if before else None,
        Path(snakemake.output[0]),
    )
