"""Optimizers: a file each, named by `table`."""
