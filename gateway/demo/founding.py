"""How the demo's alliance comes into being: the same acts that `gateway admin` offers, each on record."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.app import Gateway
from gateway.approvals import Arguments
from gateway.demo.admission import admit
from gateway.demo.partner import Partner
from gateway.errors import Invalid, Refused
from gateway.members.client_acts import registration
from gateway.members.key_source import KeySource

FIRST_OPERATOR = "demo admin"
SECOND_OPERATOR = "demo officer"
_ALLIANCE = "Four Seasons Alliance 四季联盟"


async def found(gateway: Gateway, partners: Mapping[str, Partner]) -> list[dict[str, str]]:
    """Found the alliance and its members with their keys; returns log id, origin, vkey and member of each log."""
    alliance = await gateway.members.create_alliance(_ALLIANCE, operator=FIRST_OPERATOR)
    await gateway.activate_policy(alliance, operator=FIRST_OPERATOR)
    whose = {alliance: "operator"}
    for name, partner in partners.items():
        partner.member = await gateway.members.create_member(
            alliance, name=partner.name, uscc=partner.uscc, industry=partner.industry, operator=FIRST_OPERATOR
        )
        keys = KeySource.of({"jwks": {"keys": [dict(partner.client_key.public_jwk())]}}, loopback=False)
        wanted = registration(partner.member, "production", f"{name} systems", keys)
        await _refused_to_a_prospect(gateway, alliance, wanted)
        await admit(gateway, partner.member, uscc=partner.uscc)
        partner.client = await _by_two(gateway, alliance, "register_client", wanted)
        signing = {"member": partner.member, "jwk": dict(partner.signing_key.public_jwk())}
        await _by_two(gateway, alliance, "add_signing_key", signing)
        whose[partner.member] = name
    return [{**log, "member": whose[log["log"]]} for log in await gateway.verifier_keys()]


async def _refused_to_a_prospect(gateway: Gateway, alliance: str, wanted: Arguments) -> None:
    """No client before management's approval (clause 2.2.3)."""
    try:
        await gateway.approvals.propose(alliance, "register_client", wanted, operator=FIRST_OPERATOR)
    except Refused as refused:
        if any(reason.code == "NOT_ADMITTED" for reason in refused.reasons):
            return
        raise
    raise Invalid("demo_failed", "A client was proposed for a prospect.")


async def _by_two(gateway: Gateway, alliance: str, act: str, arguments: Arguments) -> str:
    """One proposes, the other approves, as in every alliance."""
    proposal = await gateway.approvals.propose(alliance, act, arguments, operator=FIRST_OPERATOR)
    return await gateway.approvals.approve(proposal, operator=SECOND_OPERATOR)
