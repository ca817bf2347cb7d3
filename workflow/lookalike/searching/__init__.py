"""New images looked for in the gallery of a run."""
