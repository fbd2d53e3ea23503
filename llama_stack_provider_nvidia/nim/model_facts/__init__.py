"""Facts about models: capabilities, ids and limits."""
