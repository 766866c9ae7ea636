"""OpenTelemetry's traces and log records as captured records, by GenAI semantic conventions old and new."""
