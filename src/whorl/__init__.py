"""Whorl: a data flywheel in a box."""
