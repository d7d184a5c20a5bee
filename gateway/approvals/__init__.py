"""Do two people want it? Acts that one operator proposes and another approves, and that happen exactly once."""

from gateway.approvals.act import Act, Arguments, Mandate
from gateway.approvals.approvals import Approvals
from gateway.approvals.proposal import Proposal, client_proposer, proposing_client

__all__ = ["Act", "Approvals", "Arguments", "Mandate", "Proposal", "client_proposer", "proposing_client"]
