"""What stands behind the `?` of a URL: a name that a route does not know is refused, as one in a body is.

Taken in silence, a misspelt filter or place would show rows that were not asked for.
"""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.params import QueryParameter

from whorl.api.failures import HttpError
from whorl.errors import did_you_mean


def known_parameters(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard. Raises HttpError 400 that names the first parameter which the route has not."""
    fields = handler.parsed_fn_signature.parameters.items()
    known = [name for name, field in fields if isinstance(field.kwarg_definition, QueryParameter)]
    for name in connection.query_params:
        if name not in known:
            hint = did_you_mean(name, known) if known else "This route has no parameters."
            raise HttpError(400, f"There is no parameter {name!r}.", where=name, hint=hint)
