"""What `MLmodel` names: `mlflow models serve`, `mlflow.pyfunc.load_model` and Spark UDFs answer with our model.

Whoever serves a folder this way has chosen to run it; the digest is the registry's tag `sha256`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from whorl.models.model import Model, load_model

if TYPE_CHECKING:
    import pandas as pd


def _load_pyfunc(path: str) -> "PyfuncModel":
    """MLflow's entry point."""
    return PyfuncModel(load_model(Path(path), may_run_code=True))


class PyfuncModel:
    """Binary: a column `probability`. Multiclass: a column a class. Regression: a column `prediction`."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def predict(self, frame: "pd.DataFrame", params: dict[str, Any] | None = None) -> "pd.DataFrame":
        import pandas as pd

        del params
        manifest = self._model.manifest
        missing: Any = [None] * len(frame)
        columns = {
            name: pa.array(frame[name] if name in frame.columns else missing, from_pandas=True)
            for name in manifest.features
        }
        scores = self._model.predict(pa.table(columns))
        if manifest.task == "multiclass":
            return pd.DataFrame(scores, columns=[str(name) for name in manifest.classes], index=frame.index)
        return pd.DataFrame(
            {"probability" if manifest.task == "binary" else "prediction": scores}, index=frame.index
        )
