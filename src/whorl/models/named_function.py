"""'package.module:function', as the spec names code of the user's: imported, or a clear word on why not."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from whorl.errors import SpecError, did_you_mean


def named_function(reference: str, *, where: str, beside: Path | None = None) -> Callable[..., Any]:
    """The function that a spec names.

    Args:
        reference: 'package.module:function'.
        where: The spec's key, for messages.
        beside: The spec's folder: modules there are found too, before any others.

    Raises:
        SpecError: No such module or function, or another module of that name is already in use.

    >>> named_function("math:sqrt", where="train.trainer")(9.0)
    3.0
    """
    module_name, _, name = reference.partition(":")
    module = _module(module_name, where, beside)
    found = getattr(module, name, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise SpecError(
            f"Module '{module_name}' has no function '{name}'.", where=where, hint=did_you_mean(name, known)
        )
    function: Callable[..., Any] = found
    return function


def _module(name: str, where: str, beside: Path | None) -> Any:
    folder = str((beside or Path.cwd()).resolve())
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name and not name.startswith(f"{error.name}."):
            raise SpecError(
                f"Module '{name}' needs '{error.name}', which is not installed.", where=where
            ) from error
        raise SpecError(
            f"There is no module '{name}'.",
            where=where,
            hint=f"Put {name.replace('.', '/')}.py into {folder}, or install the package.",
        ) from None
    finally:
        sys.path.remove(folder)
    _check_same(module, Path(folder, *name.split(".")).with_suffix(".py"), where)
    return module


def _check_same(module: Any, expected: Path, where: str) -> None:
    """Python keeps one module per name: two flywheels with a `trainer.py` each must not run each other's."""
    loaded = getattr(module, "__file__", None)
    if expected.is_file() and (loaded is None or Path(loaded).resolve() != expected):
        raise SpecError(
            f"'{module.__name__}' was already loaded from {loaded}, not from {expected}.",
            where=where,
            hint="Rename one of the two modules.",
        )
