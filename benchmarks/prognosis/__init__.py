"""Benchmarks of perfect prognosis: predictors on a coarse grid, another variable on a fine one."""
