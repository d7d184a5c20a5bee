"""Read what a member may read, as any partner's system would: with `requests_oauth2client` and nothing of the gateway.

    python examples/read_a_page.py DIR/alliance.json hotel

`gateway demo --serve --out DIR` writes `alliance.json` and the key files beside it. The client proves itself by
private_key_jwt, its token is bound to a fresh DPoP key, and the library answers the nonce challenges. One line
of JSON is printed for each of the member's reads.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import requests
from jwskate import Jwk
from requests_oauth2client import DPoPKey, OAuth2Client, PrivateKeyJwt

TIMEOUT_S = 30


def main() -> int:
    """0 if every read was answered with data."""
    asked = arguments()
    alliance = json.loads(asked.alliance.read_text("utf-8"))
    member = find(alliance["members"], asked.member)
    key = Jwk(json.loads((asked.alliance.parent / member["jwk_file"]).read_text("utf-8"))).with_kid_thumbprint()
    token = obtain_token(alliance["issuer"], member, key)
    answered = [read(one, token, asked.limit) for one in member["reads"]]
    return 0 if answered and all(answered) else 1


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Get a token for a member and read a page of each of its reads.")
    parser.add_argument("alliance", type=Path, help="alliance.json, with the key files beside it")
    parser.add_argument("member", help="the member's id, its name, or the name of its key file without .jwk.json")
    parser.add_argument("--limit", type=int, default=2, help="how many records of each (1 to 100, default 2)")
    return parser.parse_args()


def find(members: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    """The member that goes by this name."""
    for member in members:
        if wanted in (member["id"], member["name"], member["jwk_file"].removesuffix(".jwk.json")):
            return member
    sys.exit(f"There is no member {wanted!r}; there are {', '.join(one['name'] for one in members)}.")


def obtain_token(issuer: str, member: dict[str, Any], key: Jwk) -> Any:
    """A token bound to a new key, for the member's authorization details; endpoints are found at the issuer."""
    metadata = requests.get(f"{issuer}/.well-known/oauth-authorization-server", timeout=TIMEOUT_S).json()
    client = OAuth2Client(
        metadata["token_endpoint"],
        PrivateKeyJwt(member["client_id"], key, alg=key.get("alg", "ES256"), aud=metadata["issuer"]),
        issuer=metadata["issuer"],
        dpop_bound_access_tokens=True,
        testing=issuer.startswith("http://127.0.0.1"),  # plain http is for loopback alone
    )
    details = json.dumps(member["authorization_details"])
    return client.client_credentials(authorization_details=details, dpop_key=DPoPKey.generate("ES256"))


def read(wanted: dict[str, str], token: Any, limit: int) -> bool:
    """Print one page, or the problem; whether it was a page."""
    asked = {"purpose": wanted["purpose"], "limit": str(limit)}
    answer = requests.get(wanted["url"], params=asked, auth=token, timeout=TIMEOUT_S)
    print(json.dumps({"url": wanted["url"], "status": answer.status_code, **answer.json()}, ensure_ascii=False))
    return answer.ok


if __name__ == "__main__":
    sys.exit(main())
