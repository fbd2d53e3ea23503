"""How a request is written: where each field goes, what a model can do."""
