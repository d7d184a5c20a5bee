"""Does the person agree? Consents per recipient, purpose and fields, and their withdrawal."""

from gateway.consents.consents import Consents

__all__ = ["Consents"]
