"""Ways in for what exists already: files, SQL queries, and what other tools have kept."""
