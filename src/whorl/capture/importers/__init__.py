"""Ways in for what exists already: files and SQL queries."""
