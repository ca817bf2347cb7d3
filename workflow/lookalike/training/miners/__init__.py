"""Miners, which choose among the pairs or triplets of a batch: a file each, named by `table`."""
