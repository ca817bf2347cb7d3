"""Ranking a gallery for queries, exactly, and measuring how good the rankings are."""
