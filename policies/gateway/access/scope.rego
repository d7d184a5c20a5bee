package gateway.access

# METADATA
# title: The fields that the request names; `released` (confidentiality.rego) are those of them that leave
requested := {field | some field in action.fields}

# METADATA
# title: The fields of this dataset that the agreement grants
granted := {field | some field in agreement.granted_fields}

# METADATA
# title: The fields that the dataset has
existing := object.keys(resource.fields)

# METADATA
# title: The requested fields that are granted and there; no other rule speaks about any other field
# description: Else a refusal would tell of a field that it exists.
in_scope := {field |
	some field in requested
	granted[field]
	existing[field]
}

# METADATA
# title: The protection classes that the released fields are sealed in
classes := {class |
	class_of_field := resource.fields
	some field in released
	class := class_of_field[field]
}

# METADATA
# title: The parts of the caller's token that are about this agreement, this dataset and this action
token_grants := [grant |
	some grant in subject.grants
	grant.agreement == agreement.id
	resource.dataset in grant.datasets
	action.name in grant.actions
]

# METADATA
# title: Every requested field exists and is granted, and the token covers agreement, dataset and action
# custom:
#   clause: "4.1.2"
requirement.OUT_OF_SCOPE.met if {
	count(requested) > 0
	every field in requested {
		granted[field]
		existing[field]
	}
	every field in action.filters { requested[field] }
	count(token_grants) > 0
}

# METADATA
# title: Matching counts persons and shows nobody, so it goes by the method `overlap` alone, and nothing else does
counted_or_read if {
	purpose == "matching"
	action.method == "overlap"
}

counted_or_read if {
	purpose != "matching"
	action.method != "overlap"
}

# METADATA
# title: The method of access is agreed, and fits the purpose
# custom:
#   clause: "4.1.2"
requirement.METHOD_NOT_AGREED.met if {
	action.method in agreement.methods
	counted_or_read
}
