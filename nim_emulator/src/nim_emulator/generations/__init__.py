"""The dialects of each NIM generation and of other servers."""
