package gateway.access

# METADATA
# title: The case has every member, each of its type
# description: |
#   Load-bearing: without it the two engines differ on comparisons across types, and one of them permits.
#   A list with a member that is not there is undefined, and so is what asks about it.
well_formed if {
	every word in words { is_string(word) }
	every number in numbers { whole(number) }
	every number in positive_numbers { number > 0 }
	every names in lists { strings(names) }
	every actions in [input.action.includes, input.agreement.signed_messages.actions] { signable(actions) }
	grants_well_formed
	resource_well_formed
	input.agreement.onward in {"forbidden", "written_consent"}
	beside_well_formed
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

numbers := [
	input.subject.qualified_until,
	input.subject.clearance,
	input.resource.owner_qualified_until,
	input.context.now,
	input.agreement.version,
	input.agreement.starts_at,
	input.agreement.ends_at,
	input.agreement.frequency.reads,
	input.agreement.frequency.per_seconds,
	input.agreement.volume.records,
	input.agreement.volume.per_seconds,
	input.agreement.confidentiality_years,
	input.agreement.retention_days,
	input.circumstances.participation.owner.from,
	input.circumstances.participation.owner.until,
	input.circumstances.participation.recipient.from,
	input.circumstances.participation.recipient.until,
	input.circumstances.organisation_nda.from,
	input.circumstances.organisation_nda.until,
	input.circumstances.person_nda.from,
	input.circumstances.person_nda.until,
	input.circumstances.roster.from,
	input.circumstances.roster.until,
	input.circumstances.assessment.from,
	input.circumstances.assessment.until,
	input.circumstances.transfer.from,
	input.circumstances.transfer.until,
]

# METADATA
# title: Those of them that are no number of anything if they are zero
positive_numbers := [
	input.agreement.frequency.per_seconds,
	input.agreement.volume.records,
	input.agreement.volume.per_seconds,
]

lists := [
	input.action.fields,
	input.action.filters,
	input.agreement.granted_fields,
	input.agreement.purposes,
	input.agreement.methods,
	input.agreement.third_parties,
]

grants_well_formed if {
	is_array(input.subject.grants)
	every grant in input.subject.grants {
		is_string(grant.agreement)
		strings(grant.datasets)
		strings(grant.purposes)
		strings(grant.actions)
	}
}

resource_well_formed if {
	input.resource.kind in {"market", "product", "personal"}
	is_object(input.resource.fields)
	is_object(input.resource.grades)
	is_object(input.resource.confidential)
	every class in input.resource.fields { is_string(class) }
	every field in existing {
		whole(input.resource.grades[field])
		input.resource.grades[field] > 0
		input.resource.confidential[field] in kinds_of_secrets
	}
}

kinds_of_secrets := {"public", "business_secret", "technical_secret", "customer", "financial"}

# METADATA
# title: The consents and the holds, each with its interval
beside_well_formed if {
	is_array(input.circumstances.onward)
	every consent in input.circumstances.onward {
		is_string(consent.purpose)
		whole(consent.from)
		whole(consent.until)
	}
	is_array(input.holds)
	every hold in input.holds {
		is_string(hold.case)
		is_string(hold.subject)
		is_string(hold.state)
		whole(hold.from)
		whole(hold.until)
	}
}

strings(value) if {
	is_array(value)
	every item in value { is_string(item) }
}

# METADATA
# title: Actions that a signature can be demanded for, and no others
# description: A name that is not known here would never be demanded.
signable(value) if {
	is_array(value)
	every action in value { action in {"read", "query"} }
}

# METADATA
# title: An integer from 0 to 2**53 - 1
whole(value) if {
	is_number(value)
	value >= 0
	value <= 9007199254740991
	value % 1 == 0
}
