"""Speed, memory and scores, each printed as a ratio within one run."""
