package gateway.access

# METADATA
# title: The agreement is signed by both, has begun, has not ended, and names these two
# custom:
#   clause: "2.3.2"
requirement.AGREEMENT_NOT_IN_FORCE.met if {
	agreement.state == "signed"
	subject.member in named
	agreement.owner == resource.owner
	agreement.starts_at <= now
	now < agreement.ends_at
}

# METADATA
# title: Who may come under the agreement - its recipient, and the third parties that its terms name
named contains agreement.recipient

named contains party if some party in agreement.third_parties

# METADATA
# title: How often the recipient may read is agreed; what is not agreed is no right
# custom:
#   clause: "2.3.1"
requirement.TERM_MISSING.met if agreement.frequency.reads > 0
