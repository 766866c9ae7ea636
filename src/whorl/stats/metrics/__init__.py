"""What is measured of a model: one metric a file, and the table that names them."""
