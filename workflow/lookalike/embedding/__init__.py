"""Sending images through a network, and the tables of embeddings that come of it."""
