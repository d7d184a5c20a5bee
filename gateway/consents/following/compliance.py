"""What a recipient answers, as it writes it: how it complied, with proof; and to whom it passed the data on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.cases.opening import sentence
from gateway.consents.following.queueing import Holder
from gateway.consents.following.states import WAYS, Way
from gateway.errors import Invalid

MOST_ONWARD: Final = 50
LONGEST_TEXT: Final = 2000
LONGEST_NAME: Final = 200
ACKNOWLEDGEMENT: Final = ("onward",)
COMPLIANCE: Final = ("how", "legal", "proof", "onward")
_PROVEN: Final = frozenset({Way.DELETED, Way.ANONYMISED, Way.RESTRICTED, Way.CORRECTED})
_SHA256 = re.compile("[0-9a-f]{64}")
_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Compliance:
    """How it was complied with. `sha256` is of the proof that the recipient keeps, or of the `text` that it sends."""

    how: Way
    legal: str | None
    sha256: str | None
    text: str | None

    @classmethod
    def read(cls, body: Mapping[str, Any], cause: str) -> Compliance:
        """From a body, for what ended by a cause; `Invalid` names the member that breaks a rule.

        Deleted, anonymised, restricted and corrected need a proof; retained needs the law that demands it.
        """
        how, legal = _way(body.get("how"), cause), body.get("legal")
        if (legal is not None) != (how is Way.RETAINED):
            raise Invalid("invalid_compliance", "What is retained names the law that demands it.", field="/legal")
        sha256, text = _proof(body.get("proof"))
        if how in _PROVEN and sha256 is None:
            raise Invalid("proof_missing", "A proof is a text, or the SHA-256 of what you keep.", field="/proof")
        return cls(how, None if legal is None else sentence(legal, "/legal", LONGEST_NAME), sha256, text)

    def row(self) -> dict[str, str | None]:
        """Its columns."""
        return {"how": self.how.value, "legal": self.legal, "proof_sha256": self.sha256, "proof_text": self.text}


def onward_of(body: Mapping[str, Any], answering: str) -> list[Holder]:
    """Those to whom the data was passed on: members by id, companies outside by name. The member answers for these."""
    given = body.get("onward", [])
    if not isinstance(given, list) or len(given) > MOST_ONWARD:
        raise Invalid("invalid_onward", f"A list of at most {MOST_ONWARD} recipients.", field="/onward")
    return list(dict.fromkeys(_holder(one, f"/onward/{index}", answering) for index, one in enumerate(given)))


def _holder(given: Any, at: str, answering: str) -> Holder:
    match given:
        case {"member": str(member), **rest} if not rest and _ID.fullmatch(member) and member != answering:
            return Holder(member)
        case {"name": name, **rest} if not rest:
            return Holder(answering, sentence(name, f"{at}/name", LONGEST_NAME))
    raise Invalid("invalid_onward", "Another member by its id, or a company outside by its name.", field=at)


def _way(given: Any, cause: str) -> Way:
    possible = WAYS[cause]
    if given not in possible:
        raise Invalid("invalid_compliance", f"One of {', '.join(possible)}.", field="/how")
    return Way(given)


def _proof(given: Any) -> tuple[str | None, str | None]:
    match given:
        case None:
            return None, None
        case {"text": text, **rest} if not rest:
            said = sentence(text, "/proof/text", LONGEST_TEXT)
            return hashlib.sha256(said.encode()).hexdigest(), said
        case {"sha256": str(sha256), **rest} if not rest and _SHA256.fullmatch(sha256):
            return sha256, None
    raise Invalid("invalid_proof", "A proof is a text, or the SHA-256 of what you keep.", field="/proof")
