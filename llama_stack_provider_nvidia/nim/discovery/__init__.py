"""Discovery of a NIM: its dialect, its models and its health."""
