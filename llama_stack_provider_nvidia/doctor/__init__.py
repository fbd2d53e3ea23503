"""Checks of a NIM, one after the other, with a remedy for each failure."""
