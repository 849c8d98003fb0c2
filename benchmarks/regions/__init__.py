"""Cost of small regions over many times, relative to a larger field."""
