"""Scores made to mean what they say."""
