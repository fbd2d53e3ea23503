"""The NIM client; it imports nothing of Llama Stack."""
