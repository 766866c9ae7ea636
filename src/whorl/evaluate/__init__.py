"""Champion and challenger on rows that nobody trained on, and the gates that decide."""
