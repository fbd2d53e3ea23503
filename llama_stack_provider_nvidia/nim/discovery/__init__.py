"""What a NIM is, how it is, and what it serves."""
