"""How a job is done: its log, its signals, its locks, its machine."""
