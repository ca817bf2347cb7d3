"""Ways of drawing an epoch's batches: a file each, named by `table`."""
