"""The subcommands of `lookalike`: what each takes, and what it calls."""
