"""run.yaml: what it says of NIMs, as each release of the stack reads it, and how it is written."""
