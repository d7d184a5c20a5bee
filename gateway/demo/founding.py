"""How the demo's alliance comes into being: the same acts that `gateway admin` offers, each on record."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.app import Gateway
from gateway.demo.partner import Partner

_OPERATOR = "demo"
_ALLIANCE = "Four Seasons Alliance 四季联盟"


async def found(gateway: Gateway, partners: Mapping[str, Partner]) -> list[dict[str, str]]:
    """Found the alliance and its members with their keys; returns log id, origin, vkey and member of each log."""
    alliance = await gateway.members.create_alliance(_ALLIANCE, operator=_OPERATOR)
    await gateway.activate_policy(alliance, operator=_OPERATOR)
    whose = {alliance: "operator"}
    for name, partner in partners.items():
        partner.member = await gateway.members.create_member(
            alliance, name=partner.name, uscc=partner.uscc, industry=partner.industry, operator=_OPERATOR
        )
        partner.client = await gateway.clients.register(
            partner.member, name=f"{name} systems", jwk=partner.client_key.public_jwk(), operator=_OPERATOR
        )
        await gateway.signing_keys.add(partner.member, partner.signing_key.public_jwk(), operator=_OPERATOR)
        whose[partner.member] = name
    return [{**log, "member": whose[log["log"]]} for log in await gateway.verifier_keys()]
