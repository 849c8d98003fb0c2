"""The FLEX network, its diffusion and its sampler: tensors in, tensors out."""
