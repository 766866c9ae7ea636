"""Your own function as the trainer: `fn(rows, out, *, seed, params)`.

`rows` is a pyarrow table (id, time, label, weight, features); it writes a LightGBM text as `model.txt`, an MLflow folder,
or anything that `[train] load` loads again, into the folder `out`.
"""

from pathlib import Path

from whorl.errors import TrainingFailed
from whorl.models.named_function import failure, named_function
from whorl.train.rows import TrainingRows
from whorl.train.trainer import FitSettings


def train(rows: TrainingRows, out: Path, settings: FitSettings) -> None:
    """Call the function that `[train] trainer` names. Raises TrainingFailed with what it said."""
    function = named_function(settings.trainer, where="train.trainer", beside=settings.beside)
    try:
        function(rows.table, out, seed=settings.seed, params=settings.params)
    except Exception as error:  # the user's code may raise anything
        raise TrainingFailed(
            failure(settings.trainer, error),
            where="train.trainer",
            hint="It is called as fn(rows, out, seed=..., params=...).",
        ) from error
