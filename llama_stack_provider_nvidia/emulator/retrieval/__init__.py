"""Embedding and rerank models: what they take, and answers that depend on the words in a text."""
