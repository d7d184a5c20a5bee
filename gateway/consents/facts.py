"""What events and entries say of a record: ids, names of fields and instants, and nothing about the person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.consents.record import Record
from gateway.consents.states import Event
from gateway.ledger import Draft, Kind


def item_facts(record: Record, names: Sequence[str], moved: Mapping[str, Any]) -> dict[str, Any]:
    """What is or was consented to, for the details of an event: a receipt is made from them."""
    facts: dict[str, Any] = {"fields": list(names), "channels": list(moved.get("channels", record.channels))}
    instants = {name: moved.get(name, getattr(record, name)) for name in ("given_at", "expires_at")}
    return facts | {name: instant for name, instant in instants.items() if instant is not None}


def entry_of(record: Record, event: Event, actor: Mapping[str, str], names: Sequence[str]) -> Draft:
    """The entry of one step, in the log of the data's owner."""
    facts = {
        "act": f"consent_{event}",
        "actor": dict(actor),
        "dataset": record.dataset,
        "consents": [record.id],
        "permission": record.kind,
        "recipient": record.recipient,
        "purpose": record.purpose,
        "fields": list(names),
        "channels": list(record.channels),
        "state": record.state.value,
        "notice_sha256": record.notice_sha256,
    }
    return Draft(log=record.owner, kind=Kind.CONSENT, facts=facts)
