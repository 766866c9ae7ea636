"""Conditions on columns, and where errors gather."""
