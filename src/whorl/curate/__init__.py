"""Which rows are worth learning from: candidates, reasons, and the draw under a budget with known probabilities."""
