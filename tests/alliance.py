"""A small alliance in this process, for journeys and attacks: real keys, real policy, real database, real HTTP stack.

Its members' systems speak OAuth with keys of their own and reach the application through ASGI.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from joserfc.jwk import ECKey
from stdnum.cn import uscc

from gateway import migrations
from gateway.app import Gateway, compose, initialise
from gateway.clock import Clock, seconds, system_clock
from gateway.database.creation import sqlite_url
from gateway.demo.admission import admit
from gateway.identity.jws import sign_compact, thumbprint
from gateway.members.client_acts import registration
from gateway.members.key_source import KeySource
from gateway.parts import decision_point
from gateway.policy import DecisionPoint
from gateway.settings import Settings
from gateway.vault.providers import Cost, LocalKeyring
from gateway.web import web
from tests import notices
from tests.confiding import assess, done, is_personal, no_secrets, opt_in

POLICIES = Path(__file__).resolve().parents[1] / "policies"
PASSPHRASE = b"a passphrase for tests alone"
CHEAP = Cost(iterations=1, lanes=1, memory_kib=8)
MEMBER_ACTIONS = ("draft", "sign", "upload", "consent", "withdraw", "audit", "participate", "confide", "refer")

MARKET_SCHEMA = no_secrets(
    {
        "type": "object",
        "x-kind": "market",
        "properties": {
            "code": {"type": "string", "x-class": "place", "x-grade": 1, "x-filter": "equality"},
            "city": {"type": "string", "x-class": "place", "x-grade": 1},
            "price": {"type": "integer", "x-class": "terms", "x-grade": 2},
            "margin": {"type": "integer", "x-class": "secret", "x-grade": 4},
        },
    }
)
PERSONAL_SCHEMA = no_secrets({
    "type": "object",
    "x-kind": "personal",
    "x-subject-field": "customer_no",
    "x-unique": ["customer_no"],
    "properties": {
        "customer_no": {"type": "string", "x-class": "personal", "x-grade": 2},
        "name": {"type": "string", "x-class": "personal", "x-grade": 3},
        "phone": {
            "type": "string", "x-format": "phone", "x-class": "personal_phone", "x-grade": 3, "x-filter": "equality",
        },
        "id_number": {"type": "string", "x-class": "sensitive_identity", "x-grade": 4},
    },
})  # fmt: skip
_EVIDENCE = hashlib.sha256(b"signed form").hexdigest()
_USED_FROM_S = 3600
"""Notices are stated to have been in use for so long, so that consents may be a minute old."""


def b64(data: bytes) -> str:
    """base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def new_key() -> ECKey:
    """A P-256 key pair."""
    return ECKey.generate_key("P-256")


def public(key: ECKey) -> dict[str, Any]:
    """The public JWK."""
    return dict(key.as_dict(private=False))


@dataclass(slots=True)
class Member:
    """One member's system: a client key, a proof key, a signing key, and the last nonces it was given."""

    name: str
    alliance: Alliance = field(repr=False)
    id: str = ""
    client: str = ""
    client_key: ECKey = field(default_factory=new_key, repr=False)
    proof_key: ECKey = field(default_factory=new_key, repr=False)
    signing_key: ECKey = field(default_factory=new_key, repr=False)
    nonces: dict[str, str] = field(default_factory=dict)
    uscc: str = ""
    notices: dict[tuple[str, str, str], str] = field(default_factory=dict)

    @property
    def now(self) -> int:
        """The instant by the alliance's clock, epoch seconds."""
        return seconds(self.alliance.gateway.clock())

    def assertion(self, **claims: Any) -> str:
        """A client assertion; claims given replace the usual ones."""
        usual = {
            "iss": self.client,
            "sub": self.client,
            "aud": self.alliance.base,
            "iat": self.now,
            "exp": self.now + 60,
            "jti": secrets.token_urlsafe(16),
        }
        return sign_compact(json.dumps(usual | claims).encode(), self.client_key, typ="JWT")

    def proof(self, method: str, url: str, token: str | None = None, **claims: Any) -> str:
        """A DPoP proof (RFC 9449)."""
        usual: dict[str, Any] = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": self.now}
        if token is not None:
            usual["ath"] = b64(hashlib.sha256(token.encode()).digest())
        kind = "token" if token is None else "resource"
        if kind in self.nonces:
            usual["nonce"] = self.nonces[kind]
        return sign_compact(
            json.dumps(usual | claims).encode(), self.proof_key, typ="dpop+jwt", header={"jwk": public(self.proof_key)}
        )

    async def token(self, *details: Mapping[str, Any]) -> str:
        """An access token for these authorization details, or for all that a member may do for itself."""
        answer = await self.ask_token(*details)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def ask_token(self, *details: Mapping[str, Any]) -> httpx.Response:
        """The token endpoint's answer, after at most one nonce challenge."""
        wanted = list(details) or [{"type": "alliance_member", "actions": list(MEMBER_ACTIONS)}]
        url = f"{self.alliance.base}/token"
        for _ in range(2):
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self.assertion(),
                "authorization_details": json.dumps(wanted),
            }
            answer = await self.alliance.http.post(url, data=form, headers={"DPoP": self.proof("POST", url)})
            if "DPoP-Nonce" in answer.headers:
                self.nonces["token"] = answer.headers["DPoP-Nonce"]
            if answer.status_code == 200 or answer.json().get("error") != "use_dpop_nonce":
                break
        return answer

    async def ask(self, path: str, *, headers: Mapping[str, str] | None = None, **form: str) -> httpx.Response:
        """The answer of another OAuth endpoint to this member's client."""
        return await self.alliance.http.post(
            self.alliance.base + path,
            data={
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self.assertion(),
                **form,
            },
            headers=headers,
        )

    async def revoke(self, token: str) -> None:
        """End a token (RFC 7009)."""
        answer = await self.ask("/revoke", token=token)
        assert (answer.status_code, answer.content) == (200, b""), answer.text

    def under(self, agreement: str, dataset: str, *purposes: str) -> dict[str, Any]:
        """The detail for reading one dataset under an agreement."""
        return {
            "type": "alliance_agreement",
            "agreement": agreement,
            "datasets": [dataset],
            "purposes": list(purposes or ("market_analysis",)),
            "actions": ["read"],
        }

    async def call(self, method: str, path: str, token: str, **request: Any) -> httpx.Response:
        """A protected call with a fresh proof, repeated once if a nonce is asked for."""
        url = self.alliance.base + path
        headers = dict(request.pop("headers", {}))
        for _ in range(2):
            proof = self.proof(method, url.partition("?")[0], token)
            answer = await self.alliance.http.request(
                method, url, headers={**headers, "Authorization": f"DPoP {token}", "DPoP": proof}, **request
            )
            if "DPoP-Nonce" in answer.headers:
                self.nonces["resource"] = answer.headers["DPoP-Nonce"]
            if answer.status_code != 401 or "use_dpop_nonce" not in answer.headers.get("WWW-Authenticate", ""):
                break
        return answer

    async def get(self, path: str, token: str, **params: str) -> httpx.Response:
        """GET."""
        return await self.call("GET", path, token, params=params)

    async def post(self, path: str, token: str, document: Any = None) -> httpx.Response:
        """POST a JSON document."""
        return await self.call("POST", path, token, json=document)

    async def declare(self, schema: Mapping[str, Any], name: str = "") -> str:
        """Declare a dataset and return its id."""
        answer = await self.post(
            "/v1/datasets", await self.token(), {"name": name or f"set-{secrets.token_hex(4)}", "schema": schema}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def upload(self, dataset: str, rows: Iterable[Mapping[str, Any]], mode: str = "append") -> httpx.Response:
        """Upload rows as NDJSON; an empty line says that there are none."""
        body = ("\n".join([json.dumps(row, ensure_ascii=False) for row in rows]) + "\n").encode()
        return await self.call(
            "POST",
            f"/v1/datasets/{dataset}/uploads",
            await self.token(),
            params={"mode": mode},
            content=body,
            headers={"Content-Type": "application/x-ndjson"},
        )

    async def consent(self, dataset: str, recipient: Member, *subjects: str, **over: Any) -> list[str]:
        """Record consents for these subjects and return their ids."""
        given = datetime.fromtimestamp(self.now - 60, UTC)
        notice_sha256 = await self.notice(dataset, recipient, over.get("purpose", "customer_referral"))
        items = [
            {
                "subject": subject,
                "recipient": recipient.id,
                "purpose": "customer_referral",
                "fields": ["name", "phone"],
                "given_at": instant(given),
                "evidence_sha256": _EVIDENCE,
                "notice_sha256": notice_sha256,
            }
            | over
            for subject in subjects
        ]
        answer = await self.post(f"/v1/datasets/{dataset}/consents", await self.token(), items)
        assert answer.status_code == 201, answer.text
        return [one["id"] for one in answer.json()["consents"]]

    async def notice(self, dataset: str, recipient: Member, purpose: str = "customer_referral") -> str:
        """Publish, once, a notice of every field of a dataset for a recipient and purpose; returns its digest."""
        place = (dataset, recipient.id, purpose)
        if place not in self.notices:
            token = await self.token()
            schema = (await self.get(f"/v1/datasets/{dataset}", token)).json()["schema"]
            fields = [
                notices.field(name, sensitive=said["x-class"].split("_")[0] == "sensitive")
                for name, said in schema["properties"].items()
            ]
            asked = notices.item(notices.party(recipient.id, recipient.uscc), purpose, fields=fields)
            automated = {"used": True, "explanation": notices.TEXT} if purpose == "personalisation" else {"used": False}
            document = notices.notice(notices.party(self.id, self.uscc), [asked], automated_decisions=automated)
            self.notices[place] = await self.publish(dataset, f"{purpose} {recipient.name}", document)
        return self.notices[place]

    async def publish(self, dataset: str, name: str, document: Mapping[str, Any]) -> str:
        """Draft a notice and put it in force, as told on paper for an hour; returns its digest."""
        token = await self.token()
        drafted = await self.post(f"/v1/datasets/{dataset}/notices", token, {"name": name, "document": document})
        assert drafted.status_code == 201, drafted.text
        used_from = {"used_from": instant(datetime.fromtimestamp(self.now - _USED_FROM_S, UTC))}
        answer = await self.post(f"/v1/notices/{drafted.json()['id']}/publication", token, used_from)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["sha256"])

    async def withdraw(self, dataset: str, subject: str) -> httpx.Response:
        """Withdraw everything that a subject consented to for a dataset."""
        return await self.post(f"/v1/datasets/{dataset}/withdrawals", await self.token(), {"subject": subject})

    async def draft(self, recipient: Member, dataset: str, fields: Iterable[str], **over: Any) -> tuple[str, bytes]:
        """Draft an agreement as its owner; returns its id and the text to sign. `term`: more about the dataset."""
        begin = datetime.fromtimestamp(self.now - 300, UTC)
        terms = {
            "owner": self.id,
            "recipient": recipient.id,
            "title": f"{self.name} to {recipient.name}",
            "datasets": [
                {
                    "dataset": dataset,
                    "fields": list(fields),
                    "purposes": over.pop("purposes", ["market_analysis"]),
                    "methods": ["api"],
                    "lawful_basis": "consent",
                }
                | over.pop("term", {})
            ],
            "frequency": {"reads": 1_000_000, "per_seconds": 86_400},
            "start": instant(begin),
            "end": instant(begin + timedelta(days=365)),
            "confidentiality_years": 3,
            "onward": "forbidden",
        } | over
        token = await self.token()
        answer = await self.post("/v1/agreements", token, terms)
        assert answer.status_code == 201, answer.text
        agreement = str(answer.json()["id"])
        text = await self.get(f"/v1/agreements/{agreement}/terms", token)
        return agreement, text.content

    async def sign(self, agreement: str, text: bytes) -> httpx.Response:
        """Sign an agreement's text."""
        jws = sign_compact(
            text, self.signing_key, typ="agreement+jws", header={"kid": thumbprint(public(self.signing_key))}
        )
        return await self.post(f"/v1/agreements/{agreement}/signatures", await self.token(), {"jws": jws})

    async def confirm(self, other: Member) -> None:
        """Confirm the other side's signing key."""
        fingerprint = thumbprint(public(other.signing_key))
        answer = await self.post(f"/v1/signing-keys/{fingerprint}/confirmation", await self.token())
        assert answer.status_code < 300, answer.text

    async def agree(self, recipient: Member, dataset: str, fields: Iterable[str], **over: Any) -> str:
        """An agreement that both have signed and take part in; what is about persons is assessed."""
        agreement, text = await self.draft(recipient, dataset, fields, **over)
        await self.confirm(recipient)
        await recipient.confirm(self)
        for party in (self, recipient):
            answer = await party.sign(agreement, text)
            assert answer.status_code < 300, answer.text
            done(await opt_in(party, agreement, dataset))
        if await is_personal(self, dataset):
            done(await assess(self, agreement, dataset))
        return agreement


@dataclass(slots=True)
class Alliance:
    """A composed gateway with its members."""

    gateway: Gateway
    http: httpx.AsyncClient
    id: str = ""
    members: dict[str, Member] = field(default_factory=dict)
    environment: str = "production"

    @property
    def base(self) -> str:
        """The issuer."""
        return self.gateway.settings.base_url

    async def join(self, name: str, **terms: Any) -> Member:
        """A member with a client and a signing key, through the whole admission, on these `terms` of `admit`."""
        member = Member(name, self)
        body = f"91310000MA1{len(self.members):06d}"
        code = member.uscc = body + uscc.calc_check_digit(body)
        member.id = await self.gateway.members.create_member(
            self.id, name=name, uscc=code, industry="test", operator="test"
        )
        await admit(self.gateway, member.id, uscc=code, **terms)
        member.client = await self.register(member, f"{name} systems")
        await self.by_two("add_signing_key", member=member.id, jwk=public(member.signing_key))
        self.members[name] = member
        return member

    async def neighbour(self) -> Member:
        """A member of another alliance of the same gateway."""
        other = Alliance(self.gateway, self.http)
        other.id = await self.gateway.members.create_alliance("Another alliance", operator="test")
        await self.gateway.activate_policy(other.id, operator="test")
        return await other.join("rival")

    async def register(self, member: Member, name: str) -> str:
        """Another client of the member's company, with the member's client key; returns its id."""
        source = KeySource.of({"jwks": {"keys": [public(member.client_key)]}}, loopback=False)
        return await self.by_two("register_client", **registration(member.id, self.environment, name, source))

    async def lift(self, hold: str) -> None:
        """Two operators lift a hold."""
        _, arguments = await self.gateway.holds.lifting(hold)
        await self.by_two("lift_hold", **arguments)

    async def readmit(self, member: str, *, case: str) -> None:
        """Two operators end a suspension."""
        await self.by_two("readmit_member", **await self.gateway.members.readmission(member, case=case))

    async def by_two(self, act: str, **arguments: Any) -> str:
        """One operator proposes, another approves; returns what the act made."""
        approvals = self.gateway.approvals
        proposal = await approvals.propose(self.id, act, arguments, operator="test")
        return await approvals.approve(proposal, operator="second test")


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def settings_for(folder: Path, **over: Any) -> Settings:
    """Settings of a gateway in a folder, with a passphrase file beside its data."""
    data = folder / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    passphrase = folder / "passphrase"
    if not passphrase.exists():
        passphrase.touch(0o600)
        passphrase.write_bytes(PASSPHRASE)
    return Settings.from_environment({}, data_dir=data, passphrase_file=passphrase, policies_dir=POLICIES, **over)


async def prepare(settings: Settings) -> LocalKeyring:
    """Make keyring, schema and the gateway's own keys. SQLite's schema is made by the migrations once, then copied."""
    keyring = LocalKeyring.create(settings.keyring_path, PASSPHRASE, cost=CHEAP)
    if not settings.database_url and not settings.sqlite_path.exists():
        settings.sqlite_path.touch(0o600)
        settings.sqlite_path.write_bytes(await _migrated())
    await initialise(settings, keyring)
    return keyring


@asynccontextmanager
async def composed(settings: Settings, clock: Clock = system_clock) -> AsyncIterator[Gateway]:
    """A prepared gateway. All of them that decide by the embedded engine share one, which is compiled once."""
    shared = None if settings.opa_url else await _decisions(settings)
    async with compose(settings, await prepare(settings), clock, decisions=shared) as gateway:
        yield gateway


async def _decisions(settings: Settings) -> DecisionPoint:
    if not _shared_decisions:
        _shared_decisions.append(await decision_point(settings, AsyncExitStack()))
    return _shared_decisions[0]


async def _migrated() -> bytes:
    if not _schema:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "gateway.db"
            await migrations.upgrade(sqlite_url(path))
            _schema.append(path.read_bytes())
    return _schema[0]


_schema: list[bytes] = []
_shared_decisions: list[DecisionPoint] = []


@asynccontextmanager
async def founded(folder: Path, clock: Clock = system_clock, **over: Any) -> AsyncIterator[Alliance]:
    """An alliance with a bank, a hotel and a stranger, on a gateway in this process."""
    settings = settings_for(folder, **over)
    async with composed(settings, clock) as gateway:
        transport = httpx.ASGITransport(web(gateway), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=settings.base_url) as http:
            yield await populated(gateway, http)


async def populated(gateway: Gateway, http: httpx.AsyncClient) -> Alliance:
    """An alliance with a bank, a hotel and a stranger, on an empty gateway that `http` reaches."""
    alliance = Alliance(gateway, http)
    alliance.id = await gateway.members.create_alliance("Test alliance", operator="test")
    await gateway.activate_policy(alliance.id, operator="test")
    for name in ("bank", "hotel", "stranger"):
        await alliance.join(name)
    return alliance
