"""With whom? Alliances, their members, and the keys that members sign agreements with."""

from gateway.members.keys import SigningKeys
from gateway.members.members import MemberKeyRing, Members
from gateway.members.uscc import UsccInvalid, checked_uscc

__all__ = ["MemberKeyRing", "Members", "SigningKeys", "UsccInvalid", "checked_uscc"]
