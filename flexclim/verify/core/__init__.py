"""What all scores share: alignment, weighted sums, geometry, transforms."""
