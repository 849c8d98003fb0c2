"""Recipes: what a training run is, read strictly from YAML."""
