"""Immutable versions of what is learnt from: members, rows, content hash, manifest; edge cases, golden rows, export."""
