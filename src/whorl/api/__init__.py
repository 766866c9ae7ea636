"""HTTP: reads requests, calls what is below, writes answers. Nothing is decided here but status codes."""
