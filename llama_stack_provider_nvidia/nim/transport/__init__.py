"""How requests reach a NIM: clients, turns, tries, time limits, bytes."""
