from __future__ import annotations

from hashlib import md5, sha256, sha512

import pytest

from gateway.identity.digests import check_content_digest, content_digest
from gateway.identity.structured_fields import FieldRefused, serialised

CONTENT = b'{"hello": "world"}'
SHA256 = sha256(CONTENT).digest()
SHA512 = sha512(CONTENT).digest()


def test_a_digest_is_written_as_the_rfc_writes_it() -> None:
    """RFC 9530 section B.1 has this digest of this content and a line feed."""
    assert content_digest(CONTENT + b"\n") == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"


@pytest.mark.parametrize(
    "digests",
    [{"sha-256": SHA256}, {"sha-512": SHA512}, {"sha-256": SHA256, "sha-512": SHA512}],
)
def test_one_or_both_digests_are_accepted(digests: dict[str, bytes]) -> None:
    check_content_digest(serialised(digests), CONTENT)


@pytest.mark.parametrize(
    "value",
    [
        "",
        serialised({"md5": md5(CONTENT).digest()}),
        serialised({"sha-256": SHA256, "md5": md5(CONTENT).digest()}),
        serialised({"sha-256": SHA512}),
        serialised({"sha-256": SHA256[:16]}),
        serialised({"sha-256": SHA256, "sha-512": SHA256}),
        serialised({"sha-512": SHA512, "sha-256": sha256(b"").digest()}),
        serialised({"sha-256": (SHA256, {"q": 1})}),
        serialised({"sha-256": SHA256.hex()}),
        f"{content_digest(CONTENT)}, {content_digest(CONTENT)}",
        f"sha-256=({content_digest(CONTENT).removeprefix('sha-256=')})",
        "sha-256",
        "sha-256=:",
    ],
)
def test_any_other_digest_is_refused(value: str) -> None:
    with pytest.raises(FieldRefused):
        check_content_digest(value, CONTENT)


def test_the_digest_of_another_content_is_refused() -> None:
    for other in (b"", CONTENT + b" ", CONTENT[:-1]):
        with pytest.raises(FieldRefused):
            check_content_digest(content_digest(CONTENT), other)
