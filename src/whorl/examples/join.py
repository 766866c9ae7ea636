"""The examples of a flywheel as of a time: joined once, then asked as often as needed.

The join itself is SQL, in `steps.py`; what its columns mean is in `columns.py`.
"""

from datetime import datetime
from functools import cached_property
from itertools import count
from typing import Any

import pyarrow as pa

from whorl.clock import as_utc
from whorl.examples.columns import KEY, STATUSES, label_keys
from whorl.examples.coverage import coverage
from whorl.examples.joined import Joined
from whorl.examples.kept_list import KeptDamaged, log
from whorl.examples.late_truth import LateTruth, came_by_itself, late_truth
from whorl.examples.other_names import by_one_name
from whorl.examples.rejoin import Rejoined
from whorl.examples.settled import Settled
from whorl.examples.steps import add_label_steps, conflicting_ids, example_steps, in_window, kept_examples
from whorl.spec import Spec
from whorl.storage.engine import Engine, Steps
from whorl.storage.lake import Lake
from whorl.storage.sql_types import instant_literal, quoted, text_literal

_numbers = count(1)


class Examples:
    """Predictions with their truth, as it was known at `as_of`.

    The lake's files are listed when this is made: rows appended afterwards are not seen, even if received earlier.
    The join runs at the first question, into a temporary table of the engine; `close` drops it. Of what is kept of an earlier join, only
    what came since is joined; the rest is read where it lies.

    Args:
        kept: The join as of an earlier time, and what is settled as of that time or a later one.
    """

    def __init__(
        self,
        lake: Lake,
        engine: Engine,
        spec: Spec,
        as_of: datetime,
        kept: tuple[Joined, Settled] | None = None,
    ) -> None:
        self.as_of = as_utc(as_of)
        self.engine, self.lake, self.spec = engine, lake, spec
        self._predictions = by_one_name(lake, "predictions", "id", self.as_of)
        self._labels = by_one_name(lake, "labels", "prediction_id", self.as_of)
        self._table = f"examples_{next(_numbers)}"
        self._rejoined = (
            None if kept is None else Rejoined(lake, engine, spec, *kept, self.as_of, self._table)
        )

    def steps(self) -> Steps:
        """The join, ending in `examples`."""
        return example_steps(self.spec, self.as_of, self._predictions, self._labels)

    @cached_property
    def name(self) -> str:
        """The engine's table that holds the examples; its columns are those of `example_schema`."""
        if self._rejoined is not None:
            try:
                told = kept_examples(self.spec, self.as_of, self._rejoined.rows, self._rejoined.parted)
                self.engine.name(self._table, told.sql("examples"))
                return self._table
            except KeptDamaged as error:
                log.warning("%s: %s It is gone on without it.", error.where, error.message)
                self.leave_kept()
        self.engine.create(self._table, self.steps().sql("examples"))
        return self._table

    @property
    def reads_kept(self) -> bool:
        """Whether files are read that are kept of an earlier join."""
        return self._rejoined is not None

    def leave_kept(self) -> None:
        """Join everything at the next question: what is kept cannot be read."""
        self.close()
        self._rejoined = None
        self.__dict__.pop("name", None)

    def select(
        self,
        columns: str = "*",
        where: str | None = None,
        order: str | None = None,
        limit: int | None = None,
    ) -> pa.Table:
        """Rows of the examples. The arguments are SQL of the product's own, or what `check_sql` has passed."""
        sql = f"SELECT {columns} FROM {self.name}"
        if where is not None:
            sql += f" WHERE {where}"
        if order is not None:
            sql += f" ORDER BY {order}"
        if limit is not None:
            sql += f" LIMIT {limit}"
        return self.engine.query(sql)

    def counts(self) -> dict[str, int]:
        """How many predictions of each status and split, and what became of the labels.

        Keys: `predictions`, `train.<status>`, `holdout.<status>` for each status, and
        `parted.<status>` where groups stand on both sides; `labels` received by `as_of`, and of
        them `labels.unmatched` (their prediction is not there yet), `labels.ambiguous` (several fit and the cardinality
        is 'one'), `labels.late` (after the window); `labels.corrected`: predictions whose value was changed by a later
        label, `labels.contradictory`: of them those whose last labels came at once; `conflicts`: predictions of which one record says something else than an earlier one, whose value stays.
        """
        return dict(self._counts)

    @cached_property
    def _counts(self) -> dict[str, int]:
        found = {f"{split}.{status}": 0 for split in ("train", "holdout") for status in STATUSES}
        rows = self.engine.query(
            "SELECT split || '.' || status AS key, count(*) AS rows, count(*) FILTER (corrected) AS corrected,\n"
            "  count(*) FILTER (contradictory) AS contradictory\n"
            f"FROM {self.name} GROUP BY key"
        )
        found |= dict(zip(rows["key"].to_pylist(), rows["rows"].to_pylist(), strict=True))
        told = {f"labels.{flag}": sum(rows[flag].to_pylist()) for flag in ("corrected", "contradictory")}
        return {"predictions": sum(found.values()), **found, **told, **self._record_counts()}

    def _record_counts(self) -> dict[str, int]:
        """`labels`, what became of them, and `conflicts`."""
        if self._rejoined is not None:
            return self._rejoined.counts()
        found: dict[str, int] = self.engine.query(self._label_steps().sql("label_counts")).to_pylist()[0]
        conflicting = conflicting_ids(self.spec, self.as_of, self._predictions)
        return found | {"conflicts": self.engine.query(conflicting).num_rows}

    def coverage(self) -> dict[str, Any]:
        """How much of the truth is known and how late it comes; see `coverage.py`."""
        by_itself = came_by_itself(self.lake, self.name, self.as_of)
        return coverage(self.engine, self.name, by_itself, self.as_of, self.spec)

    @cached_property
    def late_truth(self) -> LateTruth:
        """Whether truth is late in a way that biases what is known, and how late it comes; found once."""
        return late_truth(self.engine, self.lake, self.name, self.spec, self.as_of)

    def unmatched(self, limit: int = 100, offset: int = 0) -> pa.Table:
        """Labels that wait for their prediction, the longest waiting first."""
        return self._label_list("unmatched_labels ORDER BY received_at, id", limit, offset)

    def ambiguous(self, limit: int = 100, offset: int = 0) -> pa.Table:
        """Labels that fit several predictions, whose ids are in `candidates`; the last received first."""
        return self._label_list("ambiguous_labels ORDER BY received_at DESC, id", limit, offset)

    def messages(self) -> pa.Table:
        """What was sent in each prediction that has messages: `id` and `messages`, a list of JSON objects.

        As with every field the first record received counts; where messages came in parts, as OpenTelemetry's log
        records do, the parts follow one another.
        """
        part = "coalesce(extra::JSON ->> 'otel_part' = 'true', false)"
        return self.engine.query(
            f"WITH said AS (SELECT id, time, messages, {part} AS part, min(received_at) AS received_at\n"
            f"  FROM {self._predictions} WHERE messages IS NOT NULL\n"
            f"  AND received_at <= {instant_literal(self.as_of)} GROUP BY ALL)\n"
            "SELECT id, coalesce(first(messages::JSON[] ORDER BY received_at, time) FILTER (NOT part),\n"
            "  flatten(list(messages::JSON[] ORDER BY time, received_at) FILTER (part)))::VARCHAR[] AS messages\n"
            "FROM said GROUP BY id ORDER BY id"
        )

    def close(self) -> None:
        """Drop the temporary table."""
        self.engine.drop(self._table)
        if self._rejoined is not None:
            self._rejoined.drop()

    def _label_list(self, which: str, limit: int, offset: int) -> pa.Table:
        sql = self._label_steps().sql(f"SELECT * FROM {which} LIMIT {limit} OFFSET {offset}")
        return self.engine.query(sql)

    def _label_steps(self) -> Steps:
        """What became of each label, over the predictions that the examples hold."""
        steps = Steps().add("completed_predictions", f"SELECT * FROM {self.name}", inline=True)
        named = ", ".join(f"{text_literal(key)}: {quoted(KEY + key)}" for key in label_keys(self.spec))
        keys = f"MAP {{{named}}}" if named else "NULL::MAP(VARCHAR, VARCHAR)"
        label = f"id, time, received_at, prediction_id, value, source, {keys} AS keys"
        return (
            add_label_steps(steps, self.spec, self.as_of, self._labels)
            .add("unmatched_labels", f"SELECT {label} FROM label_matches WHERE matches = 0", inline=True)
            .add(
                "ambiguous_labels",
                f"SELECT {label}, list(DISTINCT matched_id ORDER BY matched_id) AS candidates\n"
                "FROM label_matches WHERE matches > 1 GROUP BY ALL",
                inline=True,
            )
            .add(
                "label_counts",
                "SELECT (SELECT count(*) FROM received_labels) AS labels,\n"
                '  count(*) FILTER (matches = 0) AS "labels.unmatched",\n'
                '  (SELECT count(*) FROM ambiguous_labels) AS "labels.ambiguous",\n'
                f'  count(*) FILTER (matches = 1 AND NOT ({in_window(self.spec)})) AS "labels.late"\n'
                "FROM label_matches",
            )
        )
