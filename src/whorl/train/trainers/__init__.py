"""Trainers, one a file; the contract is in `train/trainer.py`."""
