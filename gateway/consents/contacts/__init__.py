"""How a person is reached: numbers and addresses in one form each, found by a blind index, sealed under the person's
key."""

from gateway.consents.contacts.addresses import (
    Address,
    Channel,
    Email,
    normalised_email,
    normalised_phone,
    phone_is_doubtful,
)
from gateway.consents.contacts.blind_index import BlindIndex, ContactKeyActs
from gateway.consents.contacts.contacts import FRESH_MS, Contacts, Holder, Reached, Role

__all__ = [
    "FRESH_MS",
    "Address",
    "BlindIndex",
    "Channel",
    "ContactKeyActs",
    "Contacts",
    "Email",
    "Holder",
    "Reached",
    "Role",
    "normalised_email",
    "normalised_phone",
    "phone_is_doubtful",
]
