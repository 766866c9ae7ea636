"""Pure maths on numpy arrays: no I/O, no clock, no configuration. One method a file, each with its source.

Undefined is nan, never 0. Rows of weight 0 count for nothing; a nan among the rows that count is refused (arrays.py).
"""
