"""Embeddings and reranking with any NIM."""
