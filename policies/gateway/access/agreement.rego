package gateway.access

# METADATA
# title: The agreement is signed by both, has begun, has not ended, and binds exactly these two
# custom:
#   clause: "2.3.2"
met contains "AGREEMENT_NOT_IN_FORCE" if {
	input.agreement.state == "signed"
	input.agreement.recipient == input.subject.member
	input.agreement.owner == input.resource.owner
	input.agreement.starts_at <= input.context.now
	input.context.now < input.agreement.ends_at
}

# METADATA
# title: Every instant that a rule compares with `now`
# description: An instant that is missing here would let the gateway remember an answer for too long.
instants := [input.agreement.starts_at, input.agreement.ends_at]

# METADATA
# title: Those of them that are still to come
to_come contains instant if {
	some instant in instants
	input.context.now < instant
}

# METADATA
# title: The next instant at which this answer could change
# description: 0 - none is to come, remember nothing.
default valid_until := 0

valid_until := instant if {
	some instant in to_come
	every other in to_come { instant <= other }
}
