"""Carry out a verdict, take it back, tell others by signed webhooks. Serving follows the registry's pointer."""
