"""Previews at rest: sealed under the person's own key, counted by keyed terms; shredding the key leaves neither words.

What a recipient does not see may be anything, a name too. So the words stand nowhere in clear, and equal ones are
found equal by the referrer's blind index.
"""

from __future__ import annotations

import json
from typing import Any, Final

from gateway.canonical import canonical, parse_canonical
from gateway.referrals.preview import PARTS, Preview
from gateway.referrals.referral import Referral
from gateway.vault.errors import SealBroken
from gateway.vault.keyring import MemberKeys, SubjectKey, WrappedSubjectKey

_FIRST_NUMBER: Final = 128
"""Numbers that no field of a dataset has, so that no term of a row is ever one of a preview."""


def sealed(keys: MemberKeys, key: SubjectKey, dataset: str, referral_id: str, preview: Preview) -> dict[str, Any]:
    """The columns of a preview: its words sealed, and the terms that equal words have in this dataset."""
    words = [getattr(preview, name) for name in PARTS]
    terms = {
        f"{name}_term": keys.index_term(dataset, _FIRST_NUMBER + place, words[place])
        for place, name in enumerate(PARTS)
    }
    return {"preview": canonical(key.seal_detail(canonical(words), _bound(referral_id))).decode(), **terms}


def resealed(keys: MemberKeys, found: Referral, preview: Preview) -> dict[str, Any]:
    """The columns of another preview of the same referral."""
    key = _key_of(keys, found)
    if key is None:
        raise SealBroken("The person's key was shredded.")
    return sealed(keys, key, found.row["dataset_id"], found.id, preview)


def opened(keys: MemberKeys, found: Referral) -> Preview | None:
    """The words again; None once the person's key was shredded, or the person has withdrawn."""
    key = _key_of(keys, found)
    if key is None or found.is_withdrawn or not found.row["preview"]:
        return None
    return Preview(*parse_canonical(key.open_detail(json.loads(found.row["preview"]), _bound(found.id))))


def _key_of(keys: MemberKeys, found: Referral) -> SubjectKey | None:
    row = found.row
    if row["wrapped"] is None:
        return None
    stored = WrappedSubjectKey(row["subject_key_id"], row["pseudonym"], row["key_version"], bytes(row["wrapped"]))
    return keys.unwrap_subject_key(stored)


def _bound(referral_id: str) -> bytes:
    return canonical({"use": "referral_preview", "referral": referral_id})
