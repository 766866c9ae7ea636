"""Figures where it is not known by design whose truth comes."""
