"""Client registration over HTTP (RFC 7591, RFC 7592). Errors are those of RFC 7591, never problem documents."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from fastapi import APIRouter, Request, Response, status
from fastapi.responses import JSONResponse

from gateway.errors import GatewayError, Invalid, NotAuthenticated, TooLarge
from gateway.identity.subject import Subject
from gateway.members.registration import BODY_BYTES, Registration, RegistrationRefused, refusal

Authenticate = Callable[[Request], Awaitable[Subject]]
Work = Callable[[Subject], Awaitable[dict[str, Any] | None]]

_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_STATUS: Final = {
    "access_denied": status.HTTP_403_FORBIDDEN,
    "insufficient_scope": status.HTTP_403_FORBIDDEN,
    "temporarily_unavailable": status.HTTP_503_SERVICE_UNAVAILABLE,
}


def routes(authenticate: Authenticate, registration: Registration) -> APIRouter:
    """`POST /v1/clients`, and `GET`, `PUT`, `DELETE /v1/clients/{client_id}`."""
    router = APIRouter(prefix="/v1/clients", tags=["clients"])

    async def answer(request: Request, work: Work, code: int = status.HTTP_200_OK) -> Response:
        """What the work says, or its refusal, a suspended member's too. A 401 is not the work's to word."""
        try:
            document = await work(await authenticate(request))
        except NotAuthenticated:
            raise
        except GatewayError as error:
            return _refused(refusal(error))
        if document is None:
            return Response(status_code=code, headers=_NO_STORE)
        return JSONResponse(document, code, headers=_NO_STORE)

    @router.post(
        "",
        status_code=status.HTTP_202_ACCEPTED,
        summary="Propose another client of your member",
        openapi_extra=_body("client_name"),
    )
    async def propose(request: Request) -> Response:
        """RFC 7591. Needs `register`. The client can do nothing before an operator of the alliance approves."""

        async def proposed(subject: Subject) -> dict[str, Any]:
            return await registration.propose(subject, await _read(request))

        return await answer(request, proposed, status.HTTP_202_ACCEPTED)

    @router.get("/{client_id}", summary="Your own registration")
    async def read(request: Request, client_id: str) -> Response:
        """RFC 7592. Needs `rotate`."""
        return await answer(request, lambda subject: registration.read(subject, client_id))

    @router.put("/{client_id}", summary="Change your own keys", openapi_extra=_body("client_id"))
    async def update(request: Request, client_id: str) -> Response:
        """RFC 7592. Needs `rotate`. `jwks` or `jwks_uri` may differ from what stands, nothing else."""

        async def updated(subject: Subject) -> dict[str, Any]:
            return await registration.update(subject, client_id, await _read(request))

        return await answer(request, updated)

    @router.delete("/{client_id}", status_code=status.HTTP_204_NO_CONTENT, summary="End your own client")
    async def end(request: Request, client_id: str) -> Response:
        """RFC 7592. Needs `rotate`. For ever, from the next request on."""
        return await answer(request, lambda subject: registration.end(subject, client_id), status.HTTP_204_NO_CONTENT)

    return router


def _body(required: str) -> dict[str, Any]:
    """The body, for OpenAPI: it is parsed by hand, strictly. Client metadata of RFC 7591 section 2."""
    text = {"type": "string"}
    keys = {"type": "object", "properties": {"keys": {"type": "array", "items": {"type": "object"}}}}
    properties = {required: text, "jwks": keys, "jwks_uri": {**text, "format": "uri"}}
    schema = {"type": "object", "properties": properties, "required": [required]}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _refused(refused: RegistrationRefused) -> Response:
    body = {"error": refused.error, "error_description": refused.detail}
    return JSONResponse(body, _STATUS.get(refused.error, status.HTTP_400_BAD_REQUEST), headers=_NO_STORE)


async def _read(request: Request) -> bytes:
    """The body of a request, or `TooLarge` as soon as it is."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Invalid("invalid_client_metadata", "The document is application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise TooLarge("body_too_large", f"The body has more than {BODY_BYTES} bytes.")
    return bytes(body)
