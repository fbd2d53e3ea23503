"""Real inference engines on this machine's CPU, for `make engine-test` and `make demo`."""
