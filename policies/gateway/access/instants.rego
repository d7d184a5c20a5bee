package gateway.access

# METADATA
# title: Every instant that a rule compares with `now`
# description: An instant that is missing would let the gateway remember an answer for too long.
instants contains instant if {
	some interval in intervals
	some instant in [interval.from, interval.until]
}

# METADATA
# title: Every interval that a rule of this policy asks about
intervals := [
	input.circumstances.participation.owner,
	input.circumstances.participation.recipient,
	input.circumstances.organisation_nda,
	input.circumstances.person_nda,
	input.circumstances.roster,
	input.circumstances.assessment,
	input.circumstances.transfer,
]

instants contains instant if {
	some consent in input.circumstances.onward
	some instant in [consent.from, consent.until]
}

instants contains instant if {
	some hold in input.holds
	some instant in [hold.from, hold.until]
}

instants contains instant if {
	some instant in [
		input.agreement.starts_at,
		input.agreement.ends_at,
		input.subject.qualified_until,
		input.resource.owner_qualified_until,
	]
}

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

# METADATA
# title: An interval that has begun and not ended; 0 to 0 is none
in_force(interval) if {
	interval.from <= input.context.now
	input.context.now < interval.until
}
