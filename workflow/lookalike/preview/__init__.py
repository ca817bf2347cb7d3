"""What a run would do, found out before it does it: mistakes, jobs, time and disk."""
