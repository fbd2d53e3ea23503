"""Requests: field mapping, reasoning, hosted rules, grammars and images."""
