"""Play history as it happened, to see what a flywheel would have done: simulated time, real cycles."""
