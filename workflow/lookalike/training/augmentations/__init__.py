"""Random changes to training images: a file each, named by `table`."""
