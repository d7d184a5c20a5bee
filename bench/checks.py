"""The check of a call with a token that was verified before, beside the raw verification of its proof's signature.

CPU time of this process, in small paired rounds, so that a busy machine disturbs both alike. Nothing is sent.
"""

from __future__ import annotations

import asyncio
import time
from base64 import urlsafe_b64decode
from statistics import median

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc.jwk import ECKey
from rich.console import Console
from rich.table import Table

from bench.proofs import Prover
from gateway.clock import seconds, system_clock
from gateway.identity import Grants, MemoryWindow, SecurityLog, TokenKey, TokenKeys
from gateway.identity.keys import thumbprint
from gateway.identity.proxy import NO_PROXY
from gateway.identity.resource import ResourceCheck
from gateway.identity.tokens import Tokens

ROUNDS = 60
CALLS = 100
GOAL_US = 25
_ORIGIN = "https://gateway.example"
_PATH = "/v1/agreements/0123456789abcdef0123456789abcdef/datasets/0123456789abcdef0123456789abcdef/records"
_ES256 = ec.ECDSA(hashes.SHA256())


def main(console: Console | None = None) -> None:
    """Print the table."""
    asyncio.run(_compare(console or Console(width=150)))


async def _compare(console: Console) -> None:
    key = ECKey.generate_key("P-256")
    tokens = Tokens(TokenKeys(TokenKey.of(Ed25519PrivateKey.generate())), issuer=_ORIGIN, resource=f"{_ORIGIN}/v1")
    check = ResourceCheck(
        tokens, MemoryWindow(system_clock), system_clock, SecurityLog(), origin=_ORIGIN, metadata="",
        proxy=NO_PROXY,
    )  # fmt: skip
    token = tokens.mint(
        alliance="a" * 32, member="m" * 32, client="c" * 32, version=1, grants=Grants((), frozenset(("audit",))),
        now=seconds(system_clock()), jkt=thumbprint(key.as_dict(private=False)),
    ).sign()  # fmt: skip
    prover = Prover(key, token)
    whole, beside = [], []
    for _ in range(ROUNDS + 1):
        prover.nonce = check.next_nonce()
        proofs = [prover.proof("GET", _ORIGIN + _PATH) for _ in range(CALLS)]
        beside.append(_raw(key.public_key, proofs))
        whole.append(await _checked(check, token, proofs))
    differences = [one - other for one, other in zip(whole[1:], beside[1:], strict=True)]
    table = Table("call with a token verified before", "CPU µs", "range", "goal")
    for name, values, goal in (
        ("the whole check", whole[1:], ""),
        ("the proof's signature alone, by cryptography", beside[1:], ""),
        ("all the rest", differences, f"≤ {GOAL_US}"),
    ):
        middle = sorted(values)[len(values) // 10 : -len(values) // 10]
        table.add_row(name, f"{median(values):.1f}", f"{middle[0]:.1f}-{middle[-1]:.1f}", goal)
    console.print(table)


async def _checked(check: ResourceCheck, token: str, proofs: list[str]) -> float:
    calls = [
        [(b"host", b"gateway.example"), (b"authorization", f"DPoP {token}".encode()), (b"dpop", proof.encode())]
        for proof in proofs
    ]
    started = time.process_time()
    for headers in calls:
        await check.authenticate("GET", _PATH, headers)
    return (time.process_time() - started) / len(calls) * 1e6


def _raw(key: ec.EllipticCurvePublicKey, proofs: list[str]) -> float:
    signed = []
    for proof in proofs:
        head, _, signature = proof.rpartition(".")
        raw = urlsafe_b64decode(signature + "==")
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        signed.append((encode_dss_signature(r, s), head.encode()))
    started = time.process_time()
    for der, message in signed:
        key.verify(der, message, _ES256)
    return (time.process_time() - started) / len(signed) * 1e6


if __name__ == "__main__":
    main()
