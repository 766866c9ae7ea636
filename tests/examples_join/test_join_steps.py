"""The join can be read, and moved to Spark."""

from datetime import UTC, datetime

import pytest
import sqlglot
from joined import spec_with

from whorl.examples.steps import example_steps
from whorl.storage.engine import to_spark

AS_OF = datetime(2026, 2, 1, tzinfo=UTC)


def test_the_steps_tell_the_story() -> None:
    steps = example_steps(spec_with(), AS_OF, "predictions", "labels")
    assert steps.names == [
        "received_predictions", "repeated_ids", "completed_predictions", "received_labels", "label_matches",
        "matched_labels", "repeatedly_labelled", "last_labels", "joined", "parted_groups", "outcomes", "examples",
    ]  # fmt: skip
    assert "-- step: last_labels: corrections: the last one received wins" in steps.explain()


@pytest.mark.parametrize(
    "labels",
    [
        "",
        'window = "90d"\ndefault_after = { value = false, after = "30d" }',
        'on = ["order"]\ncardinality = "latest"',
    ],
)
def test_spark_understands_it(labels: str) -> None:
    steps = example_steps(spec_with(labels), AS_OF, "predictions", "labels")
    tree = sqlglot.parse_one(to_spark(steps.sql()), read="spark", error_level=sqlglot.ErrorLevel.RAISE)
    assert [cte.alias for cte in tree.find_all(sqlglot.exp.CTE)] == steps.names
    assert not list(tree.find_all(sqlglot.exp.Command))
