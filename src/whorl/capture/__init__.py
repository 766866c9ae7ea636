"""Records in: mapped by the spec, checked, accepted durably, moved to the lake; files and queries taken in."""
