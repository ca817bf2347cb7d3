"""Lookalike: labelled images in, a similarity model and trustworthy retrieval metrics out."""

__version__ = "0.1.0"
