"""Scrub at the door: what may not be kept is dropped, hashed, cut or redacted before anything else sees it."""
