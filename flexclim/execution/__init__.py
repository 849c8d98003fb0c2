"""Where and how work runs: threads, clusters, devices, memory, progress."""
