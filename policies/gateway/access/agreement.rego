package gateway.access

# METADATA
# title: The agreement is signed by both, has begun, has not ended, and names these two
# custom:
#   clause: "2.3.2"
met contains "AGREEMENT_NOT_IN_FORCE" if {
	input.agreement.state == "signed"
	input.subject.member in named
	input.agreement.owner == input.resource.owner
	input.agreement.starts_at <= input.context.now
	input.context.now < input.agreement.ends_at
}

# METADATA
# title: Who may come under the agreement - its recipient, and the third parties that its terms name
named contains input.agreement.recipient

named contains party if some party in input.agreement.third_parties

# METADATA
# title: How often the recipient may read is agreed; what is not agreed is no right
# custom:
#   clause: "2.3.1"
met contains "TERM_MISSING" if input.agreement.frequency.reads > 0
