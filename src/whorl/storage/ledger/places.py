"""Paths inside the workspace, as the ledger writes them: without where the workspace is, so that it can be moved or copied.

`column_types.py` applies this to what is written and read. Everyone else sees whole paths, and never the mark.
"""

import os
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

INSIDE = "{workspace}/"


def kept(value: Any, root: str | None) -> Any:
    """JSON data with every path below `root` as it is to be written; all else as it is.

    >>> kept({"path": "/srv/wheel/models/1", "notes": ["from /srv/wheel/x", "/srv/wheel/../x"]}, "/srv/wheel")
    {'path': '{workspace}/models/1', 'notes': ['from /srv/wheel/x', '/srv/wheel/../x']}
    """
    if isinstance(value, str) and root is not None:
        below = value.removeprefix(root + os.sep)
        if below == value or ".." in PurePath(below).parts:
            return value
        return INSIDE + PurePath(below).as_posix()
    return _each(kept, value, root)


def found(value: Any, root: str | None) -> Any:
    """The same data where the workspace is now. What was written as a whole path is one still.

    >>> found(["{workspace}/models/1", "/srv/other"], "/mnt/wheel")
    ['/mnt/wheel/models/1', '/srv/other']
    """
    if isinstance(value, str) and root is not None:
        below = value.removeprefix(INSIDE)
        return value if below == value else str(PurePath(root, below))
    return _each(found, value, root)


def _each(moved: Callable[[Any, str | None], Any], value: Any, root: str | None) -> Any:
    if isinstance(value, dict):
        return {key: moved(one, root) for key, one in value.items()}
    if isinstance(value, list):
        return [moved(one, root) for one in value]
    return value
