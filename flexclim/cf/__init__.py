"""What CF conventions say of a Dataset: names, units, times, bounds, encodings, provenance."""
