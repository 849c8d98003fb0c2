"""Bias adjustment: what the public functions of ``flexclim.adjustment`` consist of."""
