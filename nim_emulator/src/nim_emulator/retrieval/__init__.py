"""Embeddings and ranking."""
