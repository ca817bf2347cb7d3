"""A run's model for programs that have no torch."""
