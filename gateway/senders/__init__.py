"""Messages to persons: short texts by SMS or e-mail, through whatever the settings name."""

from gateway.senders.choosing import Senders, senders_of
from gateway.senders.sender import NotSent, Outgoing, Sender

__all__ = ["NotSent", "Outgoing", "Sender", "Senders", "senders_of"]
