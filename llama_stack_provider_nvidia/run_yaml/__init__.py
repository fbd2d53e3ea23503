"""Reading and writing Llama Stack's run.yaml."""
