"""Which predictions have a truth that no earlier cycle could learn from: the join, of what is new alone.

What can have become a candidate since a time T0 is named by what was received since then, or fell due: a label that
came, or that corrects another, a record that completes another, a label whose prediction came at last, a default whose
time has passed, a row that is old enough now. Those with one record and one label, nearly all, are joined straight; the others are few, and go with
all their records and labels through the steps of the whole join (`steps.py`). What was received by T0 is found by id
(`settled.py`); without it T0 is the beginning. That this gives what the whole join gives is a test.
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import cached_property
from itertools import count

import pyarrow as pa

from whorl.clock import as_utc
from whorl.examples.columns import label_keys, prediction_columns
from whorl.examples.join import Examples
from whorl.examples.kept_list import KeptDamaged, log
from whorl.examples.settled import Settled, settled_schemas
from whorl.examples.steps import (
    LABEL_COLUMNS,
    PARTED,
    completed_steps,
    example_steps,
    lone_examples,
    record_columns,
    sql_interval,
)
from whorl.examples.taken import TRAINING, contradicted, last_taken
from whorl.spec import Spec
from whorl.storage.engine import Engine
from whorl.storage.lake import Lake
from whorl.storage.sql_types import instant_literal, quoted, sql_type, text_literal
from whorl.storage.tables import TableName

VALUE_COLUMNS = "value, value_time, value_received_at, value_source"
USABLE_STATUS = "('known', 'defaulted')"
_numbers = count(1)


class Arrivals:
    """Labelled predictions that may become candidates at `as_of`, and what they were found by.

    Args:
        cycles: Those whose considered rows had their chance.
        settled: What was received by an earlier time; None: nothing was looked at yet.
    """

    def __init__(
        self,
        lake: Lake,
        engine: Engine,
        spec: Spec,
        as_of: datetime,
        cycles: Sequence[str] = (),
        settled: Settled | None = None,
    ) -> None:
        self.as_of, self.cycles = as_utc(as_of), tuple(cycles)
        self.settled = settled if can_settle(lake, spec) else None
        self._lake, self._engine, self._spec = lake, engine, spec
        self._prefix = f"arrived_{next(_numbers)}_"
        self._made: list[str] = []
        self._received: dict[TableName, str] = {}

    @cached_property
    def labelled(self) -> str:
        """SQL relation of examples whose truth is there: all that may become candidates are among them."""
        try:
            return self._looked_at()
        except KeptDamaged as error:
            log.warning("%s: %s It is gone on without it.", error.where, error.message)
        self.close()
        self.settled, self._made, self._received = None, [], {}
        return self._looked_at()

    def _looked_at(self) -> str:
        self._keep("newly_taken", f"FROM {self.newly_taken()}")
        if not can_settle(self._lake, self._spec):
            whole = Examples(self._lake, self._engine, self._spec, self.as_of)
            return self._keep(
                "whole", f"SELECT * FROM ({whole.steps().sql('examples')}) WHERE status IN {USABLE_STATUS}"
            )
        self._pair()
        self._name_special()
        self._part_groups()
        special = example_steps(
            self._spec,
            self.as_of,
            self.at("special_predictions"),
            self.at("special_labels"),
            self.at("parted"),
        )
        self._keep("special_examples", special.sql("examples"))
        lone = lone_examples(self._spec, self.as_of, self._lone_pairs(), self.at("parted"))
        return (
            f"({lone.sql('examples')}\nUNION ALL BY NAME\n"
            f"SELECT * FROM {self.at('special_examples')} WHERE status IN {USABLE_STATUS})"
        )

    def parted(self) -> int:
        """How many of `labelled` are of a group that stands on both sides of the holdout."""
        return sum(n for split, _, n in self._counts if split == PARTED)

    def labels_by_class(self) -> dict[str, int]:
        """How many training rows had each label, as text, when they became candidates, up to now."""
        return {label: n for split, label, n in self._counts if split == "train"}

    @cached_property
    def _counts(self) -> list[tuple[str, str, int]]:
        """How many of each split and label, as text; of numbers, which are no classes, together as ''."""
        label = "''" if self._spec.task == "regression" else "label"
        counted = f"SELECT split, {label} AS label, count(*) AS n FROM {self.labelled} GROUP BY ALL"
        rows = self._engine.query(f"SELECT split, label::VARCHAR AS label, n FROM ({counted})").to_pylist()
        return [(row["split"], row["label"], row["n"]) for row in rows]

    @property
    def _all_special(self) -> bool:
        """Where nothing is settled, a default may be due for any prediction."""
        return self._spec.labels.default_after is not None and self.settled is None

    @property
    def since(self) -> datetime | None:
        """T0."""
        return None if self.settled is None else self.settled.as_of

    def received(self, table: TableName) -> str:
        """SQL relation of what was received since T0, in the files of the first time that it is asked for."""
        if table not in self._received:
            after = "" if self.since is None else f" AND received_at > {instant_literal(self.since)}"
            columns = record_columns(self._spec) if table == "predictions" else LABEL_COLUMNS
            self._received[table] = (
                f"(SELECT {columns} FROM {self._lake.relation(table, self.since)} "
                f"WHERE received_at <= {instant_literal(self.as_of)}{after})"
            )
        return self._received[table]

    def close(self) -> None:
        """Drop the temporary tables."""
        for name in self._made:
            self._engine.drop(name)

    @property
    def taken(self) -> str:
        """SQL relation of what had its chance, of all that are in `labelled`; its columns: `taken.py`."""
        found = ["newly_taken"] if self.settled is None else ["newly_taken", "taken", "taken_special"]
        return f"({' UNION ALL '.join(f'SELECT id, as_of, label FROM {self.at(name)}' for name in found)})"

    def newly_taken(self) -> str:
        """SQL relation of what had its chance since those that are settled; its columns: `taken.py`."""
        cycles, members, days = set(self.cycles), self._lake.stored_files("members"), None
        if self.settled is not None:
            cycles -= set(self.settled.contents.cycles)
            members = [file for file in members if file.path not in self.settled.contents.members_seen]
            days = (_day(self.settled.as_of), date.max)
        named = ", ".join(map(text_literal, sorted(cycles))) or "NULL"
        return (
            f"(SELECT id, as_of, label FROM {self._lake.relation('considered', days=days)} WHERE cycle_id IN ({named})\nUNION\n"
            f"SELECT id, NULL, NULL FROM {self._lake.relation_of('members', members)} "
            f"WHERE dataset = '{TRAINING}' AND role <> 'open' OR role = 'golden')"
        )

    def _pair(self) -> None:
        """`labels`: those that came, of what is not taken, or corrected. `pairs`: each with each record of its prediction.

        `renewed`: new records of `awaited` ids, read along with them.
        """
        if self.settled is None:
            self._name("labels", f"FROM {self.received('labels')}")
        else:
            self._keep("came", f"FROM {self.received('labels')}")
            self._register("waiting", self.settled.waiting())
            self._find("taken", f"SELECT prediction_id FROM {self.at('came')}")
            shut = self._shut("taken", contradicted(last_taken(self.at("taken")), self.at("came")))
            self._keep("labels", f"FROM {self.at('came')} WHERE prediction_id NOT IN ({shut})")
        empty = self._without_values()
        but = f" EXCLUDE ({', '.join(map(quoted, empty))})" if empty else ""
        joined = f"SELECT p.*{but}, l.* EXCLUDE (prediction_id)\nFROM {{records}} p JOIN {{told}} l ON l.prediction_id = p.id"
        told = (
            "SELECT prediction_id, value, time AS value_time, received_at AS value_received_at, "
            f"source AS value_source, true AS labelled FROM {self.at('labels')}"
        )
        new = f"{told}{' WHERE false' if self._all_special else ''}"
        if self.settled is not None:
            self._keep("awaited", "\nUNION\n".join(self._awaited(self.settled)))
            new = f"{told}\nUNION ALL BY NAME SELECT id AS prediction_id, false AS labelled FROM {self.at('awaited')}"
        met = joined.format(records=self.received("predictions"), told=f"({new})")
        if self.settled is not None:
            self._find("predictions", f"SELECT prediction_id FROM {self.at('labels')}")
            met += "\nUNION ALL BY NAME\n" + joined.format(records=self.at("predictions"), told=f"({told})")
        self._keep("met", met)
        schema = settled_schemas(self._spec)["predictions"]
        nulls = "".join(f", NULL::{sql_type(schema.field(name).type)} AS {quoted(name)}" for name in empty)
        self._name("pairs", f"SELECT * EXCLUDE (labelled){nulls} FROM {self.at('met')} WHERE labelled")
        self._name(
            "renewed",
            f"SELECT * EXCLUDE (labelled, {VALUE_COLUMNS}){nulls} FROM {self.at('met')} WHERE NOT labelled",
        )

    def _awaited(self, settled: Settled) -> list[str]:
        """Ids whose new records count, though no label came with them."""
        self._register("unmatched", settled.unmatched())
        self._keep(
            "still_waiting",
            f"FROM {self.at('waiting')} WHERE id NOT IN (SELECT id FROM {self.at('newly_taken')})",
        )
        ids = [f"SELECT id FROM {self.at('still_waiting')}", f"SELECT id FROM {self.at('unmatched')}"]
        default = self._spec.labels.default_after
        if default is None:
            return ids
        due, now = f"time + {sql_interval(default.after.span)}", instant_literal(self.as_of)
        first, last = settled.as_of - default.after.span, self.as_of - default.after.span
        earlier = self._lake.relation("predictions", days=(_day(first), _day(last)))
        self._keep(
            "due",
            f"SELECT id FROM {earlier} WHERE {due} > {instant_literal(settled.as_of)} AND {due} <= {now} "
            f"AND received_at <= {now}",
        )
        return [
            *ids,
            f"FROM {self.at('due')}",
            f"SELECT id FROM {self.received('predictions')} WHERE {due} <= {now}",
        ]

    def _shut(self, taken: str, corrected: str) -> str:
        """SQL of the ids in the settled rows `taken` that cannot be candidates again: neither `corrected` nor waiting."""
        return (
            f"SELECT id FROM {last_taken(self.at(taken))} WHERE for_good OR id NOT IN ({corrected}) "
            f"AND id NOT IN (SELECT id FROM {self.at('waiting')})"
        )

    def _without_values(self) -> list[str]:
        """Columns of records that no file has values in: they need no place in memory."""
        files = [] if self.settled is not None else self._lake.stored_files("predictions")
        empty = set.intersection(*(set(file.empty) for file in files)) if files else set()
        return [name for name in prediction_columns(self._spec) if name in empty]

    def _name_special(self) -> None:
        """`special`: ids that need all their records and labels, which `special_predictions` and `special_labels` are."""
        new = self.received("predictions")
        ids = [f"SELECT id FROM {self.at('pairs')} GROUP BY id HAVING count(*) > 1"]
        if self._all_special:
            ids = [f"SELECT DISTINCT id FROM {new}"]
        if self.settled is not None:
            ids += self._special_since()
        self._keep("named", "\nUNION\n".join(ids))
        special = f"SELECT id FROM {self.at('named')}"
        if self.settled is not None:
            self._find("taken_special", special, "taken")
            shut = self._shut("taken_special", f"SELECT prediction_id FROM {self.at('labels')}")
            special += f" WHERE id NOT IN ({shut})"
        self._keep("special", special)
        here = f"id IN (FROM {self.at('special')})"
        # Those that are in pairs are there with every record.
        self._name("alone", f"FROM {self.at('special')} WHERE id NOT IN (SELECT id FROM {self.at('pairs')})")
        self._find("special_known", f"FROM {self.at('alone')}", "predictions")
        alone = f"WHERE id IN (FROM {self.at('alone')})"
        records = f"SELECT * FROM {self.at('special_known')} {alone}\nUNION ALL BY NAME\n"
        # A record is in as many pairs as it has labels.
        records += f"SELECT DISTINCT * EXCLUDE ({VALUE_COLUMNS}) FROM {self.at('pairs')} WHERE {here}"
        if self._all_special:
            records = f"FROM {new}"
        elif self.settled is not None:
            records += f"\nUNION ALL BY NAME\nSELECT * FROM {self.at('renewed')} {alone}"
        self._keep("special_predictions", records)
        self._find("special_said", f"FROM {self.at('special')}", "labels")
        told = f"prediction_id IN (FROM {self.at('special')})"
        self._keep(
            "special_labels",
            f"SELECT * FROM {self.at('special_said')} WHERE {told}\nUNION ALL BY NAME\n"
            f"SELECT * FROM {self.at('labels')} WHERE {told}",
        )

    def _special_since(self) -> list[str]:
        self._find("said_before", f"SELECT prediction_id FROM {self.at('labels')}", "labels")
        ids = [
            f"SELECT prediction_id FROM {self.at('labels')} "
            f"WHERE prediction_id IN (SELECT prediction_id FROM {self.at('said_before')})",
            f"SELECT id FROM {self.at('still_waiting')} "
            f"WHERE {usable_at(self._spec)} <= {instant_literal(self.as_of)}",
            f"SELECT id FROM {self.at('renewed')}",
        ]
        return [*ids, f"FROM {self.at('due')}"] if self._spec.labels.default_after is not None else ids

    def _part_groups(self) -> None:
        """`parted`: groups of what was found that stand on both sides of the holdout."""
        self._name(
            "trained_groups",
            f"SELECT group_id FROM {self.at('pairs')} WHERE split = 'train'\n"
            f"UNION ALL\nSELECT group_id FROM {self.at('special_predictions')} WHERE split = 'train'",
        )
        self._find("held_known", f"FROM {self.at('trained_groups')}", "holdout")
        # Whether there is a doubt may be asked of more than was received by then, and costs less so.
        stored = self._lake.relation("predictions", self.since)
        both = f"WHERE split = 'holdout' AND group_id IN (FROM {self.at('trained_groups')})"
        known = f"SELECT * FROM {self.at('held_known')} WHERE group_id IN (FROM {self.at('trained_groups')})"
        new = self.received("predictions")
        doubted = f"SELECT group_id FROM {stored} {both} UNION ALL SELECT group_id FROM ({known}) LIMIT 1"
        doubtful = self._engine.query(doubted).num_rows > 0
        found = f"SELECT group_id, id FROM {new} {both if doubtful else 'WHERE false'}\nUNION ALL\n{known}"
        self._keep("held", found)
        if not doubtful:
            self._keep("parted", f"SELECT group_id FROM {self.at('held')}")
            return
        # Only completed records tell: a later one that names another group does not count.
        here = f"id IN (SELECT id FROM {self.at('held')})"
        self._find("held_predictions", f"SELECT id FROM {self.at('held')}", "predictions")
        self._keep(
            "held_records",
            f"SELECT * FROM {self.received('predictions')} WHERE {here}\n"
            f"UNION ALL BY NAME\nSELECT * FROM {self.at('held_predictions')} WHERE {here}",
        )
        completed = completed_steps(self._spec, self.as_of, self.at("held_records"))
        self._keep(
            "parted",
            completed.sql(
                "SELECT DISTINCT group_id FROM completed_predictions WHERE split = 'holdout' AND group_id IS NOT NULL"
            ),
        )

    def _lone_pairs(self) -> str:
        window = self._spec.labels.window
        in_time = "" if window is None else f" AND value_time <= time + {sql_interval(window.span)}"
        return f"(SELECT * FROM {self.at('pairs')} WHERE id NOT IN (FROM {self.at('special')}){in_time})"

    def at(self, name: str) -> str:
        """The engine's table of this name."""
        return self._prefix + name

    def _keep(self, name: str, sql: str) -> str:
        self._engine.create(self.at(name), sql)
        self._made.append(self.at(name))
        return self.at(name)

    def _name(self, name: str, sql: str) -> None:
        self._engine.name(self.at(name), sql)
        self._made.append(self.at(name))

    def _register(self, name: str, rows: pa.Table) -> None:
        self._engine.register(self.at(name), rows)
        self._made.append(self.at(name))

    def _find(self, name: str, keys: str, rows: str | None = None) -> None:
        """Keep as `name` the settled `rows` (by default those of that name) whose key has a hash that one of `keys` has."""
        kind = rows or name
        if self.settled is None:
            self._register(name, settled_schemas(self._spec)[kind].empty_table())
            return
        hashes = self._engine.query(f"SELECT DISTINCT hash(COLUMNS(*)) AS hash FROM ({keys})")
        self._register(name, self.settled.find(kind, hashes["hash"].to_numpy(), self._spec))


def can_settle(lake: Lake, spec: Spec) -> bool:
    """Whether what was looked at can be kept by id: with business keys, or names of traces, everything is joined anew."""
    return not label_keys(spec) and lake.version("spans") < 0


def usable_at(spec: Spec) -> str:
    """SQL: when a row may first be trained on, if its truth is known by then.

    A row kept for judging becomes usable for training when it is no longer among the youngest.
    """
    forward = spec.evaluate.time_forward
    old_enough = spec.labels.lag.seconds + (forward.seconds if forward else 0)
    return f"time + INTERVAL {int(old_enough)} SECOND"


def _day(when: datetime) -> date:
    return as_utc(when).date()
