"""Teaching a network by labelled images."""
