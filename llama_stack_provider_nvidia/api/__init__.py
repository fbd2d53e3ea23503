"""The methods of Llama Stack's inference protocol."""
