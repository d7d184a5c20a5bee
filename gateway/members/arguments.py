"""Reading the arguments of acts: none that is unknown, none of another kind."""

from __future__ import annotations

from gateway.approvals import Arguments
from gateway.errors import Invalid
from gateway.identity.certificates import CertificateName
from gateway.identity.methods import Method


def only(arguments: Arguments, *names: str) -> None:
    """`Invalid` for an argument that is none of these."""
    if unknown := arguments.keys() - set(names):
        raise Invalid("unknown_argument", "This act has no such argument.", field=min(unknown))


def said(arguments: Arguments, name: str) -> str:
    """An argument that must be a string."""
    value = arguments.get(name)
    if not isinstance(value, str):
        raise Invalid("invalid_argument", "This argument must be a string.", field=name)
    return value


def method_of(arguments: Arguments) -> Method:
    """The argument `method`, written exactly as `Method.facts` writes it; `Invalid` for anything else."""
    given = arguments.get("method")
    if not isinstance(given, dict):
        raise _no_method()
    try:
        method = Method.of({"certificate_name": None, **given})
        if (named := method.certificate_name) and named != CertificateName.of(named.kind, named.text):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, Invalid):
        raise _no_method() from None
    if method.facts() != given:
        raise _no_method()
    return method


def _no_method() -> Invalid:
    return Invalid("invalid_method", "That is no way to authenticate.", field="method")
