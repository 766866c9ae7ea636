"""Small trained folders of each format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from small_rows import training_rows

from whorl.records import Task
from whorl.spec import FeatureSpec
from whorl.train.trainer import FitSettings, trainer_named


@pytest.fixture
def trained(tmp_path: Path) -> Callable[..., Path]:
    """`trained("lightgbm", table, target)` gives the folder."""

    def train(trainer: str, table: pa.Table, target: Any, task: Task = "binary", **settings: Any) -> Path:
        kinds = {"amount": "float", "color": "category", "repeat": "bool", "note": "text"}
        out = tmp_path / f"{trainer}-{task}-{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        classes: list[bool | str] = [False, True] if task == "binary" else []
        given = {"params": {"trees": 20} if trainer == "lightgbm" else {}, "classes": classes, **settings}
        trainer_named(trainer)(
            training_rows(table, target),
            out,
            FitSettings(
                seed=1,
                task=task,
                features={name: FeatureSpec(type=kinds[name]) for name in table.column_names},  # type: ignore[arg-type]
                trainer=trainer,
                command=[],
                timeout_s=60,
                log=tmp_path / "log",
                **given,
            ),
        )
        return out

    return train
