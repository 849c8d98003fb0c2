"""Training data: sources, splits, patches, normalisation."""
