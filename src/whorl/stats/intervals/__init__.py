"""How sure a figure is: estimates, intervals, sequences, corrections for looking at many things."""
