"""Computing it: network inputs, the tiled sampler, fusion, lazy graphs."""
