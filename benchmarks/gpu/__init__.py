"""Training on a GPU machine without network: pack data, check, train, bring back models."""
