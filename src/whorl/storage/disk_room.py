"""How much may be written to a disk beside what stays free, so that what is in the inbox can still be moved out of it."""

import os
from pathlib import Path

SPARE_BYTES, SPARE_SHARE = 256 << 20, 0.05


def free_bytes(directory: Path) -> int:
    """What may be written on a directory's disk; at least 0."""
    disk = os.statvfs(directory)
    spare = min(SPARE_BYTES, int(disk.f_blocks * disk.f_frsize * SPARE_SHARE))
    return max(0, disk.f_bavail * disk.f_frsize - spare)
