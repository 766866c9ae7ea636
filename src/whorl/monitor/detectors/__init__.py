"""Detectors of a rising rate of errors: the contract, and those of other libraries."""
