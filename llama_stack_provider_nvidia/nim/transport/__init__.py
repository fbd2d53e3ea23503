"""HTTP transport to a NIM: client pool, rate limits, retries, deadlines and response bodies."""
