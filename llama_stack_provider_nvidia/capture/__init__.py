"""Captures: what a NIM answers on the wire, written to a file, and compared with what is known."""
