"""What the demo's customers are told before they consent: the bank's notice about referral to the hotel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.demo.partner import Partner

_FIELDS: Mapping[str, tuple[dict[str, str], dict[str, str], str]] = {
    "name": (
        {"zh-CN": "姓名", "en": "Your name"},
        {"zh-CN": "酒店据此称呼您", "en": "So that the hotel knows how to address you."},
        "necessary",
    ),
    "phone": (
        {"zh-CN": "手机号码", "en": "Your mobile number"},
        {"zh-CN": "酒店据此与您联系", "en": "So that the hotel can reach you."},
        "necessary",
    ),
    "city": (
        {"zh-CN": "所在城市", "en": "Your city"},
        {"zh-CN": "推荐就近的酒店", "en": "To suggest a hotel that is near."},
        "optional",
    ),
    "tier": (
        {"zh-CN": "客户等级", "en": "Your customer tier"},
        {"zh-CN": "给予相应的礼遇", "en": "To grant the courtesies of your tier."},
        "optional",
    ),
}


def referral_notice(
    owner: Partner, recipient: Partner, fields: Sequence[str], *, kept_for: str = "P1Y"
) -> dict[str, Any]:
    """The notice, complete as PIPL Art. 17 and 23 and Order 790 Art. 21 want it."""
    return {
        "kind": "enhanced",
        "jurisdiction": "CN",
        "controllers": [_party(owner)],
        "items": [
            {
                "recipient": _party(recipient),
                "purpose": "customer_referral",
                "purpose_text": {
                    "zh-CN": "向该酒店推荐您,由其为您提供住宿优惠",
                    "en": "To refer you to this hotel, which offers you a stay on better terms.",
                },
                "methods": {
                    "zh-CN": "加密传输一次,由酒店专人查看并与您联系",
                    "en": "Sent once, encrypted; named staff of the hotel see it and turn to you.",
                },
                "retention": {"period": kept_for, "after": "deleted"},
                "fields": [_field(name) for name in fields],
            }
        ],
        "storage_locations": ["CN"],
        "withdrawal": {
            "zh-CN": "随时在您的同意页面或致电本行撤回,与给出同意同样方便",
            "en": "At any time on your consent page or by calling the bank, as easily as you consented.",
        },
        "rights": {
            "zh-CN": "您可以查阅、复制、更正、转移、删除您的信息,并要求说明规则",
            "en": "You may see, copy, correct, move and delete your information, and have the rules explained.",
        },
        "rights_contact": "privacy@bank.example",
        "automated_decisions": {"used": False},
    }


def _field(name: str) -> dict[str, Any]:
    category, reason, need = _FIELDS[name]
    return {"name": name, "category": category, "sensitive": False, "need": need, "reason": reason}


def _party(partner: Partner) -> dict[str, Any]:
    contact = {"contact": "privacy@example.com", "country": "CN"}
    return {"member": partner.member, "name": partner.name, "uscc": partner.uscc, **contact}
