"""Quality of the champion by period, findings, and the one screen that says what turns and who is needed."""
