"""The light SDK: log to a server from any process. Imports records, errors, the clock, httpx and msgspec, nothing heavier."""
