"""Benchmarks of streams, requests and embeddings: `make bench`."""
