"""Truth that comes late, and not for every class alike."""
