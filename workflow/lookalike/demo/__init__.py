"""Images to try the workflow with, drawn from emoji fonts."""
