"""Where things are kept: ledger (SQL), inbox, lake (Delta tables), engine (DuckDB), registry of models. No judgement here."""
