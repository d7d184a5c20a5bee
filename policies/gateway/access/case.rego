package gateway.access

# METADATA
# title: The case has every member, each of its type
# description: |
#   Load-bearing: without it the two engines differ on comparisons across types, and one of them permits.
well_formed if {
	subject_well_formed
	action_well_formed
	resource_well_formed
	context_well_formed
	agreement_well_formed
	circumstances_well_formed
	holds_well_formed
}

subject_well_formed if {
	is_string(input.subject.member)
	is_string(input.subject.client)
	is_string(input.subject.member_state)
	is_string(input.subject.client_state)
	is_string(input.subject.person)
	is_string(input.subject.country)
	whole(input.subject.qualified_until)
	whole(input.subject.clearance)
	is_array(input.subject.grants)
	every grant in input.subject.grants {
		is_string(grant.agreement)
		strings(grant.datasets)
		strings(grant.purposes)
		strings(grant.actions)
	}
}

action_well_formed if {
	is_string(input.action.name)
	is_string(input.action.method)
	strings(input.action.fields)
	strings(input.action.filters)
	signable(input.action.includes)
	is_string(input.action.signature)
}

resource_well_formed if {
	is_string(input.resource.dataset)
	is_string(input.resource.owner)
	is_string(input.resource.owner_state)
	is_string(input.resource.country)
	whole(input.resource.owner_qualified_until)
	input.resource.kind in {"market", "product", "personal"}
	is_object(input.resource.fields)
	is_object(input.resource.grades)
	is_object(input.resource.confidential)
	every class in input.resource.fields { is_string(class) }
	every field in existing { field_well_formed(field) }
}

field_well_formed(field) if {
	whole(input.resource.grades[field])
	input.resource.grades[field] > 0
	input.resource.confidential[field] in {"public", "business_secret", "technical_secret", "customer", "financial"}
}

context_well_formed if {
	whole(input.context.now)
	is_string(input.context.purpose)
}

agreement_well_formed if {
	is_string(input.agreement.id)
	whole(input.agreement.version)
	is_string(input.agreement.state)
	is_string(input.agreement.owner)
	is_string(input.agreement.recipient)
	whole(input.agreement.starts_at)
	whole(input.agreement.ends_at)
	strings(input.agreement.granted_fields)
	strings(input.agreement.purposes)
	strings(input.agreement.methods)
	whole(input.agreement.frequency.reads)
	whole(input.agreement.frequency.per_seconds)
	input.agreement.frequency.per_seconds > 0
	whole(input.agreement.volume.records)
	whole(input.agreement.volume.per_seconds)
	input.agreement.volume.records > 0
	input.agreement.volume.per_seconds > 0
	is_string(input.agreement.lawful_basis)
	whole(input.agreement.retention_days)
	strings(input.agreement.third_parties)
	whole(input.agreement.confidentiality_years)
	input.agreement.onward in {"forbidden", "written_consent"}
	is_string(input.agreement.signed_messages.profile)
	signable(input.agreement.signed_messages.actions)
}

circumstances_well_formed if {
	every interval in intervals { interval_well_formed(interval) }
	is_array(input.circumstances.onward)
	every consent in input.circumstances.onward {
		is_string(consent.purpose)
		interval_well_formed(consent)
	}
}

interval_well_formed(value) if {
	whole(value.from)
	whole(value.until)
}

holds_well_formed if {
	is_array(input.holds)
	every hold in input.holds {
		is_string(hold.case)
		is_string(hold.subject)
		is_string(hold.state)
		interval_well_formed(hold)
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
