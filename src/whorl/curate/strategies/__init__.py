"""Which rows a model would learn most from, as chances: see `strategy.py` for the contract, `docs/selection.md` for the choice."""
