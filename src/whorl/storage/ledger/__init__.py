"""The ledger: everything small that must survive, in one SQL database (SQLite or PostgreSQL)."""
