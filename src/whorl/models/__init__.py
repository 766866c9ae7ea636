"""Model folders: what is in them, how they are checked, loaded and asked. Training is in `train/`, pointers in `storage/`."""
