"""Makes a model fit a budget: free rungs first, then training, until the budget holds."""
