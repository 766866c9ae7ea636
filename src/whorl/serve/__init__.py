"""What runs while a server runs: the champion that answers, the flusher, the scheduler of cycles. HTTP is in `api/`."""
