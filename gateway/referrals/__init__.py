"""Customers referred between members (clause 4.3.1): offered without saying who, disclosed by the person's consent."""
