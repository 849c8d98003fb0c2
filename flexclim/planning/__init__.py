"""What will be computed, settled before any work: plain data."""
