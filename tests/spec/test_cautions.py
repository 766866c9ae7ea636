"""What is worth a second look, and is not refused."""

import pytest

from whorl.spec import parse_spec
from whorl.spec.cautions import cautions

HOOK = 'webhook = "https://shop.example/hook"'


@pytest.mark.parametrize(
    ("text", "environ", "places"),
    [
        ('task = "binary"', {}, ["schema.label"]),
        ('task = "generation"\n[train]\ntrainer = "external"', {}, []),
        ('task = "binary"\n[schema]\nlabel = "y"', {}, []),
        (f'task = "binary"\n[schema]\nlabel = "y"\n[monitor]\n{HOOK}', {}, ["release.secret_env"]),
        (f'task = "binary"\n[schema]\nlabel = "y"\n[monitor]\n{HOOK}', {"WHORL_WEBHOOK_SECRET": "k"}, []),
        (f'task = "binary"\n[schema]\nlabel = "y"\n[release]\nvia = "external"\nsecret_env = "KEY"\n{HOOK}',
         {"WHORL_WEBHOOK_SECRET": "k"}, ["release.secret_env"]),
    ],
)  # fmt: skip
def test_a_caution(text: str, environ: dict[str, str], places: list[str]) -> None:
    assert [".".join(at) for at, _ in cautions(parse_spec(f'name = "shop"\n{text}'), environ)] == places
