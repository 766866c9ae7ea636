"""Make a challenger from a dataset version: checked for leaks, aware of late truth, recalibrated, the same every time."""
