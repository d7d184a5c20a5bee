package gateway.access

# METADATA
# title: Every interval that a rule of this policy asks about
# description: An interval that is missing would let the gateway remember an answer for too long.
intervals := [interval |
	some several in [circumstances, of_terms, onward_consents, holds]
	some interval in several
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
# title: An interval that has begun and not ended
# description: One that is not there is undefined, and so not in force; so is what asks about it.
in_force(interval) if {
	interval.from <= now
	now < interval.until
}
