"""Examples: predictions joined with their late truth as of a time, and the rules that users write over them."""
