"""What teaches a model: doubt, novelty, noise in labels, the weight of rows."""
