"""Demos that need no download: bundled ERA5 sample, simulated turbulence."""
