"""The options that say how a client authenticates, for the commands that register and change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from gateway.canonical import parse
from gateway.errors import Invalid
from gateway.identity import Binding, Method, MethodName, certificates
from gateway.identity.certificates import CertificateName

_LONGEST_FILE = 64 * 1024

SubjectDn = Annotated[str | None, typer.Option(help="By certificate: its subject, as RFC 4514 writes it.")]
SanDns = Annotated[str | None, typer.Option(help="By certificate: a DNS name in it.")]
SanUri = Annotated[str | None, typer.Option(help="By certificate: a URI in it.")]
SanIp = Annotated[str | None, typer.Option(help="By certificate: an IP address in it.")]
SanEmail = Annotated[str | None, typer.Option(help="By certificate: an e-mail address in it.")]
Certificates = Annotated[
    list[Path] | None,
    typer.Option(
        "--certificate",
        help="By this very certificate: PEM, or a JWK with x5c. Repeatable.",
        exists=True,
        dir_okay=False,
    ),
]
BindCertificate = Annotated[
    bool, typer.Option(help="Bind tokens to the connection's certificate also where assertions authenticate.")
]
StrictTyp = Annotated[bool, typer.Option(help="Accept assertions of typ client-authentication+jwt only (RFC 10070).")]


def method_of(
    names: Mapping[str, str | None], files: Sequence[Path] | None, *, bind_certificate: bool, strict_typ: bool
) -> Method:
    """The method that the options describe: by name, by certificate, else by assertion; `Invalid` for a mixture."""
    given = [CertificateName.of(kind, text) for kind, text in names.items() if text is not None]
    if len(given) > 1 or (given and files):
        raise Invalid(
            "several_methods", "A client has one method.", field="method", remedy="Name one certificate name, or files."
        )
    if given:
        name = MethodName.TLS_CLIENT_AUTH
    elif files:
        name = MethodName.SELF_SIGNED_TLS_CLIENT_AUTH
    else:
        name = MethodName.PRIVATE_KEY_JWT
    by_certificate = bind_certificate or name is not MethodName.PRIVATE_KEY_JWT
    return Method(
        name=name,
        binding=Binding.CERTIFICATE if by_certificate else Binding.DPOP,
        certificate_name=given[0] if given else None,
        certificates=tuple(_thumbprint(file) for file in files or ()),
        strict_typ=strict_typ,
    )


def _thumbprint(path: Path) -> str:
    if path.stat().st_size > _LONGEST_FILE:
        raise Invalid("file_too_large", "The file holds no certificate.", field=path.name)
    text = path.read_bytes()
    if not text.lstrip().startswith(b"{"):
        return certificates.from_pem(text).thumbprint
    document = parse(text)
    if not isinstance(document, dict):
        raise Invalid("invalid_jwk", "The file holds no JWK.", field=path.name)
    return certificates.from_jwk(document).thumbprint
