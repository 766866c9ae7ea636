"""The `MLmodel` file by which plain MLflow serves our folders. Written by hand: MLflow's own holds a uuid and the time.

Every feature is declared as `any` and optional, so that a null or a whole number is not refused before our loader
sees it; the loader knows the types.
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path

from whorl.models.manifest import Manifest
from whorl.models.mlflow_model import FILE


def write_mlmodel(folder: Path, manifest: Manifest) -> None:
    """Write `MLmodel` beside model.json; the same manifest gives the same bytes.

    YAML in which every value is JSON, which YAML includes.
    """
    inputs = [{"type": "any", "name": name, "required": False} for name in manifest.features]
    lines = [
        "flavors:",
        "  python_function:",
        "    loader_module: whorl.models.mlflow_loader",
        f"    python_version: {json.dumps(platform.python_version())}",
        f"mlflow_version: {json.dumps(version('mlflow-skinny'))}",
        "signature:",
        f"  inputs: {json.dumps(json.dumps(inputs))}",
    ]
    (folder / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
