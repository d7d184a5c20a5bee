"""Bundles over HTTP: for the member that serves the person, and for the owner that answers to it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response, status

from gateway.agreements.fields import IDENTIFIER, matching, members
from gateway.bundles.bundles import RECORD, Wish, record_of
from gateway.bundles.bundling import Bundling
from gateway.canonical import canonical
from gateway.confidentiality.reading import JSON, body_of, described_body, document_of
from gateway.errors import Invalid
from gateway.identity.subject import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

_LONGEST: Final = 65_536
_NAME: Final = {"type": "string", "pattern": f"^{IDENTIFIER}$"}
_SUBJECT: Final = {"dataset": _NAME, "subject": {"type": "string"}}


def _object(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_WISH: Final = _object(
    {
        "agreement": _NAME,
        "dataset": _NAME,
        "record": {"type": "string", "pattern": f"^{RECORD}$"},
        "personal": {"type": "boolean"},
    },
    "personal",
)
_RULES: Final = _object(
    {
        "v": {"const": 1},
        "title": {"type": "string"},
        "products": {"type": "array", "items": {"type": "object"}, "minItems": 1},
        "preferences": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "rules": {"type": "array", "items": {"type": "object"}, "minItems": 1},
        "size": {"type": "integer", "minimum": 1},
    }
)


def routes(authenticate: Authenticate, bundling: Bundling) -> APIRouter:
    """`/v1/bundles`."""
    router = APIRouter(prefix="/v1/bundles", tags=["bundles"])
    caller = Depends(authenticate)

    @router.post("", openapi_extra=described_body(_WISH), summary="Products that suit a person")
    async def make(request: Request, subject: Annotated[Subject, caller]) -> Response:
        """By your rules in force. `personal`, if false, looks at no data of the person: the generic list."""
        return _json(await bundling.bundles.make(subject, _wish(document_of(await body_of(request, _LONGEST)))))

    @router.post(
        "/rules",
        status_code=status.HTTP_201_CREATED,
        openapi_extra=described_body(_RULES),
        summary="Draft rules for bundles",
    )
    async def draft(request: Request, subject: Annotated[Subject, caller]) -> Response:
        """As your next version; two operators put it in force. Needs `draft`."""
        said = document_of(await body_of(request, _LONGEST))
        return _json(await bundling.rule_sets.draft(subject, said), status.HTTP_201_CREATED)

    @router.get("/rules", summary="Your rules for bundles")
    async def list_rules(subject: Annotated[Subject, caller]) -> Response:
        """Every version, the oldest first."""
        return _json({"items": await bundling.rule_sets.page(subject)})

    @router.post(
        "/switch",
        openapi_extra=described_body(_object({**_SUBJECT, "off": {"type": "boolean"}})),
        summary="A customer of yours wants no bundles from its data, or wants them again",
    )
    async def switch(request: Request, subject: Annotated[Subject, caller]) -> Response:
        """In force at once, for every member. The answer is the same for unknown persons. Needs `withdraw`."""
        return _json(await bundling.persons.switch(subject, document_of(await body_of(request, _LONGEST))))

    @router.post(
        "/explanations",
        openapi_extra=described_body(_object(_SUBJECT)),
        summary="What was offered to a customer of yours, and why",
    )
    async def explain(request: Request, subject: Annotated[Subject, caller]) -> Response:
        """With the values that had a part in it, and the rules' words. An entry comes first. Needs `consent`."""
        said = document_of(await body_of(request, _LONGEST))
        return _json({"items": await bundling.persons.explain(subject, said)})

    return router


def _wish(said: dict[str, Any]) -> Wish:
    members(said, ("agreement", "dataset", "record"), "", optional=("personal",))
    personal = said.get("personal", True)
    if not isinstance(personal, bool):
        raise Invalid("invalid_wish", "This is true or false.", field="/personal")
    return Wish(
        agreement=matching(said["agreement"], "/agreement", IDENTIFIER),
        dataset=matching(said["dataset"], "/dataset", IDENTIFIER),
        record=record_of(said["record"], "/record"),
        personal=personal,
    )


def _json(value: Any, code: int = status.HTTP_200_OK) -> Response:
    return Response(canonical(value), code, {"Cache-Control": "no-store"}, JSON)
