"""Losses over a batch of embeddings with class numbers: a file each, named by `table`."""
