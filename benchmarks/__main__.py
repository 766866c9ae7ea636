"""Run every benchmark, one after the other, each in a process of its own: `python -m benchmarks [--quick]`."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CLAIMS = (
    "imports",
    "client",
    "capture",
    "capture_soak",
    "delayed_labels",
    "fraud_handbook",
    "pii",
    "alarms",
    "drift_scan",
    "drift_stream",
    "accuracy_from_few_labels",
    "monitoring_few_labels",
    "selection_bias",
    "why_worse",
    "curation_speed",
    "curation_growth",
    "labels_to_accuracy",
    "never_worse_than_random",
)

if __name__ == "__main__":
    failed = [
        name
        for name in CLAIMS
        if subprocess.run([sys.executable, str(HERE / f"{name}.py"), *sys.argv[1:]], check=False).returncode
    ]
    sys.exit(f"Failed: {', '.join(failed)}" if failed else 0)
