package gateway.access

# METADATA
# title: Every interval that a rule of this policy asks about
# description: An interval that is missing would let the gateway remember an answer for too long.
intervals := [interval |
	some several in [of_circumstances, of_terms, circumstances.onward, holds]
	some interval in several
]

of_circumstances := [
	circumstances.participation.owner,
	circumstances.participation.recipient,
	circumstances.organisation_nda,
	circumstances.person_nda,
	circumstances.roster,
	circumstances.assessment,
	circumstances.transfer,
]

# METADATA
# title: The term of the agreement, and what both sides' papers are valid for
of_terms := [
	{"from": agreement.starts_at, "until": agreement.ends_at},
	{"from": subject.qualified_until, "until": resource.owner_qualified_until},
]

# METADATA
# title: Every instant that a rule compares with `now`, each once
instants := {instant |
	some interval in intervals
	some instant in [interval.from, interval.until]
}

# METADATA
# title: Those of them that are still to come
to_come := [instant |
	some instant in instants
	now < instant
]

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
	interval.from <= now
	now < interval.until
}
