"""Query parameters: each one known to the operation, and given once."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fastapi import Request

from gateway.errors import Invalid

_LONGEST_NAMED = 64


def parameters(request: Request, known: Collection[str]) -> Mapping[str, str]:
    """What stands behind the path, by name; `Invalid` names a parameter that is not `known`, or is given twice."""
    if not request.scope["query_string"]:
        return {}
    asked: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise Invalid("unknown_parameter", "There is no such parameter here.", field=name[:_LONGEST_NAMED])
        if name in asked:
            raise Invalid("repeated_parameter", "The parameter is given twice.", field=name)
        asked[name] = value
    return asked


def require_declared(request: Request) -> None:
    """`Invalid`, as above, unless the matched operation declares every parameter that is given."""
    parameters(request, {one.alias for one in request.scope["route"].dependant.query_params})
