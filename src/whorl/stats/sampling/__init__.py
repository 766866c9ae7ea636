"""Rows drawn with known chances, and what they say of all rows."""
