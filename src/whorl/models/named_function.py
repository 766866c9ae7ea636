"""'package.module:function', as the spec names code of the user's: imported, or a clear word on why not."""

import importlib
import sys
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from whorl.errors import SpecError, WhorlError, did_you_mean


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


def own_function(reference: str, *, where: str, hint: str, beside: Path | None = None) -> Callable[..., Any]:
    """The function of the user's that a spec names; what it raises is said as an error of the spec.

    Args:
        hint: How it is called, and where that is described.

    Raises:
        SpecError: As `named_function`; and when it is called and raises anything, that is the cause.

    >>> own_function("math:sqrt", where="curate.strategy", hint="It is called with a number.")(-1.0)
    Traceback (most recent call last):
    whorl.errors.SpecError: curate.strategy: math:sqrt fails: ValueError: math domain error. It is called with a number.
    """
    function = named_function(reference, where=where, beside=beside)

    @wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except WhorlError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise SpecError(failure(reference, error), where=where, hint=hint) from error

    return called


def failure(reference: str, error: Exception) -> str:
    """In a sentence: which function failed, with what, and in which line, where it is in a file."""
    steps = traceback.extract_tb(error.__traceback__)
    module = getattr(sys.modules.get(reference.partition(":")[0]), "__file__", None)
    inside = [step for step in steps[1:] if step.filename == module] or steps[1:]
    place = f" ({inside[-1].filename} line {inside[-1].lineno})" if inside else ""
    return f"{reference} fails{place}: {type(error).__name__}: {error}."


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
    except Exception as error:  # the user's code may raise anything
        raise SpecError(
            f"Module '{name}' cannot be loaded{_line_of(error, name)}: {type(error).__name__}: {error}.",
            where=where,
            hint="Correct it; it must load by itself, as with `python -c 'import ...'`.",
        ) from error
    finally:
        sys.path.remove(folder)
    _check_same(module, Path(folder, *name.split(".")).with_suffix(".py"), where)
    return module


def _line_of(error: Exception, name: str) -> str:
    file = name.replace(".", "/") + ".py"
    steps = [step for step in traceback.extract_tb(error.__traceback__) if step.filename.endswith(file)]
    return f" ({steps[-1].filename} line {steps[-1].lineno})" if steps else ""


def _check_same(module: Any, expected: Path, where: str) -> None:
    """Python keeps one module per name: two flywheels with a `trainer.py` each must not run each other's."""
    loaded = getattr(module, "__file__", None)
    if expected.is_file() and (loaded is None or Path(loaded).resolve() != expected):
        raise SpecError(
            f"'{module.__name__}' was already loaded from {loaded}, not from {expected}.",
            where=where,
            hint="Rename one of the two modules.",
        )
