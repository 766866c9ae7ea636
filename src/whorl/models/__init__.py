"""Model folders: what is in them, how they are checked, loaded and asked. Training is in `train/`, pointers in `storage/`."""

import os

# Read by OpenMP when LightGBM is loaded. Threads that spin while they wait cost a busy machine twenty times the time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
