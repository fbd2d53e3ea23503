"""How an answer is read: from bytes to chunks, and what in them is the answer."""
