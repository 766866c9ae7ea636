"""What is other than it was: alarms, drift, jumps, and figures that follow a change."""
