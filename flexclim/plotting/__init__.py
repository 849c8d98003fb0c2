"""Maps and coastlines."""
