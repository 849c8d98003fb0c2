"""The training loop: losses, optimizer, validation, checkpoints."""
