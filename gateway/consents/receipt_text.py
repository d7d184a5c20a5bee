"""What a consent receipt says: the fields of ISO/IEC TS 27560, with the W3C DPV's names for what they mean.

The customer's copy is full. A recipient's copy has its own item alone, and names the person by a pseudonym that no
other recipient has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from gateway.consents.events import read
from gateway.consents.notice import Notice
from gateway.consents.record import Record
from gateway.consents.states import Event, State
from gateway.database import Row

TYPE: Final = "consent-receipt+jws"
SCHEMA_VERSION: Final = "ISO/IEC TS 27560:2023"
KIND_OF_EVENT: Final[Mapping[str, str]] = {
    Event.GIVE: "given",
    Event.RECORD: "given",
    Event.CONFIRM: "given",
    Event.REFUSE: "refused",
    Event.AMEND: "amended",
    Event.WITHDRAW: "withdrawn",
    Event.EXPIRE: "expired",
}
"""The receipt that a step earns; a guardian's giving has a kind of its own."""

_DPV: Final[Mapping[str, Any]] = json.loads((files(__package__) / "dpv.json").read_text(encoding="utf-8"))


def kind_of(record: Record, event: Row) -> str | None:
    """The receipt that an event earns, None where it earns none."""
    kind = KIND_OF_EVENT.get(event["event"])
    return "guardian" if kind == "given" and record.guardian is not None else kind


def customers_copy(record: Record, notice: Notice | None, event: Row, kind: str) -> dict[str, Any]:
    """The whole receipt of what an event made of a record."""
    told = None if notice is None else notice.document
    item = {} if notice is None else notice.items[record.key]
    details = read(event["details"])
    return {
        "copy": "customer",
        "kind": kind,
        "iat": event["at"] // 1000,
        "header": {
            "schema_version": SCHEMA_VERSION,
            "record_id": record.id,
            "receipt_id": f"{record.id}.{event['sequence']}.{kind}",
            "principal_id": record.pseudonym,
            "alliance": record.alliance,
        },
        "processing": {
            "notice": _notice(record, notice, details),
            "basis": _DPV["basis"],
            **_purpose(record, item),
            **_information(item, details),
            **_validity(record, details),
            **_told(told),
        },
        "parties": _parties(record, told, item),
        "event": {
            "sequence": event["sequence"],
            "event": event["event"],
            "state": event["state"],
            "status": _status(record, event["state"]),
            "at": event["at"],
            "by": read(event["by"]),
            "previous_sha256": event["previous_sha256"],
            "sha256": event["sha256"],
        },
        **({} if record.guardian is None else {"guardian": record.guardian._asdict()}),
    }


def partners_copy(record: Record, notice: Notice | None, event: Row, *, pairwise: str) -> dict[str, Any]:
    """What a recipient may keep of what stands: its own item, and the person under a name for it alone."""
    whole = customers_copy(record, notice, event, "given")
    kept = ("notice", "basis", "purpose", "purpose_iri", "fields", "channels", "given_at", "expires_at", "max_uses")
    return {
        "copy": "partner",
        "kind": "given",
        "iat": whole["iat"],
        "header": whole["header"] | {"principal_id": pairwise},
        "processing": {name: told for name, told in whole["processing"].items() if name in kept},
        "recipient": record.recipient,
    }


def _notice(record: Record, notice: Notice | None, details: Mapping[str, Any]) -> dict[str, Any]:
    """Which text, and the language in which it was read; where nobody read it on the page, that of the record."""
    told: dict[str, Any] = {"sha256": record.notice_sha256, "language": details.get("language", record.language)}
    if notice is None:
        return told
    return told | {"id": notice.id, "version": notice.version, "kind": notice.document["kind"]}


def _purpose(record: Record, item: Mapping[str, Any]) -> dict[str, Any]:
    iri = _DPV["purpose"].get(record.purpose, _DPV["any_purpose"])
    told = ("purpose_text", "methods", "retention", "cross_border", "consequences", "security")
    return {"purpose": record.purpose, "purpose_iri": iri, **{name: item[name] for name in told if name in item}}


def _information(item: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    described = {field["name"]: field for field in item.get("fields", ())}
    fields = []
    for name in details.get("fields", ()):
        field = described.get(name, {})
        iri = _DPV["sensitive_personal_data" if field.get("sensitive") else "personal_data"]
        told = {kept: field[kept] for kept in ("category", "sensitive", "need") if kept in field}
        fields.append({"name": name, "type_iri": iri, **told})
    return {"fields": fields, "channels": list(details.get("channels", ()))}


def _validity(record: Record, details: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: details[name] for name in ("given_at", "expires_at") if name in details}
    return told | ({} if record.max_uses is None else {"max_uses": record.max_uses})


def _told(document: Mapping[str, Any] | None) -> dict[str, Any]:
    if document is None:
        return {}
    told = ("jurisdiction", "storage_locations", "withdrawal", "rights", "rights_contact", "automated_decisions")
    return {name: document[name] for name in told}


def _parties(record: Record, document: Mapping[str, Any] | None, item: Mapping[str, Any]) -> list[dict[str, Any]]:
    if document is None:
        return [{"role": "controller", "member": record.owner}, {"role": "recipient", "member": record.recipient}]
    controllers = [{"role": "controller", **party} for party in document["controllers"]]
    return [*controllers, {"role": "recipient", **item["recipient"]}]


def _status(record: Record, state: str) -> str:
    renewed = state == State.GIVEN and record.supersedes is not None
    return str(_DPV["status"]["renewed" if renewed else state])
