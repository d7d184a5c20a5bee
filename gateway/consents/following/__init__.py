"""Did everybody who received hear that it ended, and comply? Each recipient is followed until it is verified."""

from gateway.consents.following.following import Following
from gateway.consents.following.views import FollowUpDuties, Progress

__all__ = ["FollowUpDuties", "Following", "Progress"]
