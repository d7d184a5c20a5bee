package gateway.access

# METADATA
# title: Every member of the case is there, with its type
# description: |
#   Load-bearing: without it the two engines differ on comparisons across types, and one of them permits.
#   A list with a member that is not there is undefined, and so is what asks about it.
#   Asked first, and of all words or numbers together: the embedded engine pays for each question by what it knows.
well_typed if {
	every instant in instants { whole(instant) }
	is_object(input.circumstances)
	every interval in circumstances { begins_and_ends(interval) }
	every interval in of_terms { begins_and_ends(interval) }
	every number in numbers { whole(number) }
	strings(words)
	every names in lists { strings(names) }
	grants_well_typed
	resource_well_typed
	beside_well_typed
}

# METADATA
# title: Where a member's values are a closed list, it has one of them
# description: A value that no rule knows would never be asked about.
well_known if {
	every number in positive_numbers { number > 0 }
	every name in input.action.includes { signable[name] }
	every name in input.agreement.signed_messages.actions { signable[name] }
	input.agreement.onward in ways_onward
	input.resource.kind in kinds_of_data
	every field in existing {
		input.resource.grades[field]
		input.resource.confidential[field]
	}
	every grade in grades { grade > 0 }
	every secret in secrets { kinds_of_secrets[secret] }
}

words := [
	input.subject.member,
	input.subject.client,
	input.subject.member_state,
	input.subject.client_state,
	input.subject.person,
	input.subject.country,
	input.action.name,
	input.action.method,
	input.action.signature,
	input.resource.dataset,
	input.resource.owner,
	input.resource.owner_state,
	input.resource.country,
	input.context.purpose,
	input.agreement.id,
	input.agreement.state,
	input.agreement.owner,
	input.agreement.recipient,
	input.agreement.lawful_basis,
	input.agreement.signed_messages.profile,
]

lists := [
	input.action.fields,
	input.action.filters,
	input.action.includes,
	input.agreement.granted_fields,
	input.agreement.purposes,
	input.agreement.methods,
	input.agreement.third_parties,
	input.agreement.signed_messages.actions,
]

# METADATA
# title: The numbers that are no instant of an interval
numbers := [
	input.subject.clearance,
	input.context.now,
	input.agreement.version,
	input.agreement.frequency.reads,
	input.agreement.frequency.per_seconds,
	input.agreement.volume.records,
	input.agreement.volume.per_seconds,
	input.agreement.confidentiality_years,
	input.agreement.retention_days,
]

# METADATA
# title: Those of them that are no number of anything if they are zero
positive_numbers := [
	input.agreement.frequency.per_seconds,
	input.agreement.volume.records,
	input.agreement.volume.per_seconds,
]

# METADATA
# title: Actions that a signature can be demanded for, and no others
# description: A name that is not known here would never be demanded.
signable := {"read", "query"}

ways_onward := {"forbidden", "written_consent"}

grants_well_typed if {
	is_array(input.subject.grants)
	every grant in input.subject.grants {
		is_string(grant.agreement)
		strings(grant.datasets)
		strings(grant.purposes)
		strings(grant.actions)
	}
}

# METADATA
# title: Classes and kinds of secrets are words, grades are whole
resource_well_typed if {
	is_string(input.resource.kind)
	strings([class | some class in input.resource.fields])
	every secret in secrets { is_string(secret) }
	every grade in grades { whole(grade) }
}

grades := {grade | some grade in input.resource.grades}

secrets := {secret | some secret in input.resource.confidential}

kinds_of_data := {"market", "product", "personal"}

kinds_of_secrets := {"public", "business_secret", "technical_secret", "customer", "financial"}

# METADATA
# title: The consents and the holds, each with its interval
beside_well_typed if {
	is_array(input.onward_consents)
	every consent in input.onward_consents {
		is_string(consent.purpose)
		begins_and_ends(consent)
	}
	is_array(input.holds)
	every hold in input.holds {
		strings([hold.case, hold.subject, hold.state])
		begins_and_ends(hold)
	}
}

# METADATA
# title: An array of strings; to join anything else is undefined
strings(value) if concat("", value)

# METADATA
# title: An integer from 0 to 2**53 - 1; the remainder of anything but a number is undefined
whole(value) if {
	value % 1 == 0
	value >= 0
	value <= 9007199254740991
}

# METADATA
# title: An interval with both ends; that they are whole is asked of all instants together
begins_and_ends(interval) if {
	begins := interval.from
	ends := interval.until
	instants[begins]
	instants[ends]
}
