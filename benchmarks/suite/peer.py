"""pytorch-metric-learning driven by hand, as its documentation shows; one loss, one seed.

    PYTHONPATH=benchmarks python -m suite.peer DATA OUT --set emoji --loss contrastive --seed 0 \
        --steps 1000 --classes 8 --images-per-class 3

Its losses with their default parameters, its miners, its MPerClassSampler, Adam at 0.001 on the
images as they are. Of ours are the network, the decoded pixels, and the metrics of its embeddings.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pytorch_metric_learning import losses, miners, samplers
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lookalike.images.resizing import load_pixels
from lookalike.models.building import build_model
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.metrics import evaluate_files
from lookalike.storage.files import write_json
from suite.datasets import DATA_SETS
from suite.settings import complete, images_of

LR = 0.001
PROXY_LR = 100 * LR  # as the loss's authors have it (Kim et al. 2020)

# Of the number of classes and the length of an embedding: a loss and its miner.
Pair = tuple[nn.Module, nn.Module | None]
LOSSES: dict[str, Callable[[int, int], Pair]] = {
    "contrastive": lambda n, d: (losses.ContrastiveLoss(), None),
    "triplet": lambda n, d: (losses.TripletMarginLoss(), miners.TripletMarginMiner()),
    "multi_similarity": lambda n, d: (
        losses.MultiSimilarityLoss(),
        miners.MultiSimilarityMiner(),
    ),
    "ntxent": lambda n, d: (losses.NTXentLoss(), None),
    "supcon": lambda n, d: (losses.SupConLoss(), None),
    "proxy_anchor": lambda n, d: (losses.ProxyAnchorLoss(n, d), None),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, embed, evaluate; write it all to the folder OUT, `peer.json` last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder in the default layout")
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--set", required=True, choices=list(DATA_SETS), help="which data set it is"
    )
    parser.add_argument("--loss", required=True, choices=list(LOSSES))
    for name in ("--seed", "--steps", "--classes", "--images-per-class"):
        parser.add_argument(name, type=int, required=True)
    asked = parser.parse_args(arguments)
    data = DATA_SETS[asked.set]
    image = images_of(data)
    mean, std = (torch.tensor(value)[:, None, None] for value in (image.mean, image.std))

    def read(folder: str, names: Sequence[str]) -> Tensor:
        pixels = np.stack([load_pixels(asked.data / folder / name, image) for name in names])
        return (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std

    named = json.loads((asked.data / "train_image_info.json").read_text(encoding="utf-8"))
    classes, numbers = np.unique(list(named.values()), return_inverse=True)
    images, labels = read("train", list(named)), torch.from_numpy(numbers)

    torch.manual_seed(asked.seed)
    np.random.seed(asked.seed)  # its sampler's source of chance
    torch.use_deterministic_algorithms(True)
    settings = complete({}, data).model
    model = build_model(settings, image.size)
    loss_func, miner = LOSSES[asked.loss](len(classes), settings.embedding_dim)
    optimizers = [torch.optim.Adam(model.parameters(), lr=LR)]
    if list(loss_func.parameters()):
        optimizers.append(torch.optim.Adam(loss_func.parameters(), lr=PROXY_LR))
    batch = min(asked.classes, len(classes)) * asked.images_per_class
    sampler = samplers.MPerClassSampler(
        labels,
        m=asked.images_per_class,
        batch_size=batch,
        length_before_new_iter=asked.steps * batch,
    )
    loader = DataLoader(TensorDataset(images, labels), batch_size=batch, sampler=sampler)
    started = time.monotonic()
    model.train()
    for inputs, classes_of in loader:
        for optimizer in optimizers:
            optimizer.zero_grad()
        embeddings = model(inputs)
        pairs = miner(embeddings, classes_of) if miner else None
        loss_func(embeddings, classes_of, pairs).backward()
        for optimizer in optimizers:
            optimizer.step()
    seconds = time.monotonic() - started

    model.eval()
    tested = json.loads((asked.data / "test_image_info.json").read_text(encoding="utf-8"))
    asked.out.mkdir(parents=True, exist_ok=True)
    tables = {name: asked.out / f"{name}.parquet" for name in ("query", "gallery")}
    for (name, path), folder in zip(tables.items(), ("query_images", "gallery"), strict=True):
        names = sorted(file.name for file in (asked.data / folder).iterdir())
        with torch.inference_mode():
            vectors = torch.cat([model(part) for part in torch.split(read(folder, names), 128)])
        column = pa.FixedSizeListArray.from_arrays(vectors.numpy().ravel(), vectors.shape[1])
        columns = {"image_id": names, "label": [tested[name] for name in names]}
        pq.write_table(pa.table({**columns, "embedding": column}), path)
    metrics = MetricsSettings(bootstrap=0)
    evaluate_files(tables["query"], tables["gallery"], asked.out, metrics, score=settings.score)
    write_json(asked.out / "peer.json", {"steps": asked.steps, "batch": batch, "seconds": seconds})


if __name__ == "__main__":
    main()
