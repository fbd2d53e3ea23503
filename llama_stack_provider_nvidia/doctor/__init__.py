"""Looks at NIMs step by step: what is checked, what was seen, and what to do about it."""
