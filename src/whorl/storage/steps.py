"""Named SQL steps, composed into one query that reads from top to bottom.

SQL is written once, in DuckDB's dialect; `to_spark` moves it to Spark. Nothing here runs a query: see `engine.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from whorl.errors import did_you_mean

_MARK = "-- step: "
_FILES = re.compile(r"\[('[^']*(?:''[^']*)*')(?:, '[^']*(?:''[^']*)*')+\]")


@dataclass(frozen=True)
class Step:
    """One step: later ones use its rows by its name. `inline` has each use computed anew, with only its own columns."""

    name: str
    sql: str
    why: str = ""
    inline: bool = False


class Steps:
    """An ordered list of steps; adding one gives a new list.

    >>> steps = Steps().add("young", "SELECT 7 AS days").add("old", "SELECT days * 10 AS days FROM young")
    >>> print(steps.sql("old"))
    WITH
    -- step: young
    young AS (
    SELECT 7 AS days
    ),
    -- step: old
    old AS (
    SELECT days * 10 AS days FROM young
    )
    SELECT * FROM old
    """

    def __init__(self, steps: tuple[Step, ...] = ()) -> None:
        self.steps = steps

    @property
    def names(self) -> list[str]:
        return [step.name for step in self.steps]

    def add(self, name: str, sql: str, why: str = "", *, inline: bool = False) -> "Steps":
        """These steps and one more. Raises ValueError when the name is taken."""
        if name in self.names:
            raise ValueError(f"There is already a step called '{name}'.")
        return Steps((*self.steps, Step(name, sql.strip(), why, inline)))

    def sql(self, final: str | None = None) -> str:
        """One query.

        Args:
            final: A step's name, whose rows are the result (default: the last step's), or a SELECT over the steps.
        """
        if final is not None and " " not in final and final not in self.names:
            raise ValueError(f"There is no step '{final}'. {did_you_mean(final, self.names)}")
        last = final or self.names[-1]
        select = last if " " in last else f"SELECT * FROM {last}"
        parts = [
            f"{_MARK}{step.name}\n{step.name} AS {'NOT MATERIALIZED ' if step.inline else ''}(\n{step.sql}\n)"
            for step in self.steps
        ]
        return "WITH\n" + ",\n".join(parts) + "\n" + select

    def explain(self, final: str | None = None) -> str:
        """The query for people: each step under its reason, long lists of files shortened."""
        text = self.sql(final)
        for step in self.steps:
            if step.why:
                text = text.replace(f"{_MARK}{step.name}\n", f"{_MARK}{step.name}: {step.why}\n")
        return _FILES.sub(
            lambda found: f"[{found[1]}, ... {found[0].count(chr(39) + ', ' + chr(39))} more]", text
        )


def step_at(sql: str, line: int) -> str:
    """Name of the step that a line (from 1) of a composed query belongs to; empty when it is none.

    >>> step_at(Steps().add("young", "SELECT days FROM nowhere").sql(), 4)
    'young'
    """
    for text in reversed(sql.splitlines()[:line]):
        if text.startswith(_MARK):
            return text.removeprefix(_MARK)
    return ""


def up_to_each_step(sql: str) -> Iterator[tuple[str, str]]:
    """For a composed query: each step's name, and the query that ends with it.

    >>> [name for name, _ in up_to_each_step(Steps().add("a", "SELECT 1 AS x").add("b", "SELECT x FROM a").sql())]
    ['a', 'b']
    """
    head, *parts = sql.split(_MARK)
    for part in parts:
        name, _, body = part.partition("\n")
        head += body.rpartition("\n)")[0] + "\n)"
        yield name, f"{head}\nSELECT * FROM {name}"
        head += ",\n"


def to_spark(sql: str) -> str:
    """The same query in Spark's dialect. Tables must be ones that Spark knows, not lists of files."""
    import sqlglot

    return str(sqlglot.transpile(sql, read="duckdb", write="spark", pretty=True)[0])
