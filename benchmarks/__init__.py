"""One file a claim; each runs alone. `python -m benchmarks --quick` runs the quick forms of all."""
