"""A model folder: settings, card, weights, registry, import of minFLEX checkpoints."""
