"""Regridding: cells of any grid, their overlap with others, stencils between them, weights."""
