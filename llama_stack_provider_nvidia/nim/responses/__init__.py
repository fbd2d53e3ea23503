"""Read the responses of a NIM: decode, normalize, merge, parse and check them."""
