"""Heads, which make embeddings of a backbone's features: a file each, named by `table`."""
