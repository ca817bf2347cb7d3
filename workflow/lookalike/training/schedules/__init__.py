"""Schedules of the learning rate after its warm-up: a file each, named by `table`."""
