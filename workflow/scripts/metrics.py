from pathlib import Path

import torch

from lookalike.evaluation import evaluate_files
from lookalike.logs import step

torch.set_num_threads(snakemake.threads)
with step(snakemake.log[0], snakemake.output):
    evaluate_files(
        Path(snakemake.input.query),
        Path(snakemake.input.gallery),
        Path(snakemake.output.metrics).parent,
        query_folder=Path(snakemake.params.query_folder),
        gallery_folder=Path(snakemake.params.gallery_folder),
        **snakemake.params.metrics,
    )
