"""The file that `whorl init` writes can be read, holds every knob, and tells its defaults truly."""

import re
from typing import get_args

import pytest

from whorl.examples.rules import check_sql
from whorl.records import Task
from whorl.spec import parse_spec, spec_hash
from whorl.spec.reference import sections
from whorl.spec.template import template

TASKS: tuple[Task, ...] = get_args(Task)


@pytest.mark.parametrize("task", TASKS)
def test_it_parses_and_its_rules_hold(task: Task) -> None:
    spec = parse_spec(template("shop", task))
    assert (spec.name, spec.task) == ("shop", task)
    assert [gate.check for gate in spec.gates] == ["better", "no_segment_worse"]
    for rule in spec.curate.rules:
        check_sql(rule.when, spec, "condition")


def test_every_knob_is_in_it() -> None:
    written = template("shop", "binary")
    for section in sections():
        if section.inline:
            continue
        assert not section.path or re.search(rf"^#?\[+{re.escape(section.path)}\]+$", written, re.MULTILINE)
        for knob in section.knobs:
            if knob.name != "features":
                assert re.search(rf"^#?{knob.name} = ", written, re.MULTILINE), (section.path, knob.name)


def commented(text: str) -> list[tuple[int, str]]:
    return [(n, line[1:]) for n, line in enumerate(text.splitlines()) if re.match(r"^#\w+ = ", line)]


def test_a_default_that_is_switched_on_changes_nothing() -> None:
    text = template("shop", "binary")
    lines, before, changed = text.splitlines(), spec_hash(parse_spec(text)), []
    defaults = {f"{knob.name} = {knob.default}" for s in sections() for knob in s.knobs if knob.default}
    # A section that is off has defaults only when it is on.
    off = [lines.index(section) for section in ("#[curate.golden]", "#[train.composition]")]
    for number, line in commented(text):
        if line in defaults and not any(start < number < start + 7 for start in off):
            lines[number] = line
            changed.append(line)
    assert len(changed) > 30
    assert spec_hash(parse_spec("\n".join(lines))) == before


def test_knobs_of_a_known_schema_are_set() -> None:
    schema = {"id": "order id", "time": "at", "label": "late", "features": {"Amount (EUR)": "float",
              "event_time": {"type": "category", "path": "time"}}}  # fmt: skip
    spec = parse_spec(template("shop", "binary", schema))
    assert (spec.schema.id, spec.schema.label, spec.schema.score) == ("order id", "late", None)
    assert spec.features["Amount (EUR)"].type == "float"
    assert spec.features["event_time"].path == "time"
