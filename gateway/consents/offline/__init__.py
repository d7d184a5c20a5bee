"""Consents that a member collected away from the gateway: on paper, at a counter, by telephone.

Imported, they disclose nothing. The person confirms by a one-time code, or two operators accept the batch by a sample.
"""
