package gateway.access

# METADATA
# title: The requested fields that hold no secret of the owner's
public_fields := {field |
	kinds := resource.confidential
	some field in in_scope
	kinds[field] == "public"
}

# METADATA
# title: The requested fields that leave - the public ones, and the confidential ones under both NDAs
# custom:
#   clause: "8.1.1"
released := in_scope if {
	in_force(circumstances.organisation_nda)
	in_force(circumstances.person_nda)
} else := public_fields

# METADATA
# title: None of them holds a secret
only_public if {
	every field in released { public_fields[field] }
}

# METADATA
# title: A field is left, and no filter asks about one that does not leave
# custom:
#   clause: "8.1.1"
requirement.NDA_MISSING.met if {
	count(released) > 0
	every field in filtered { released[field] }
}

requirement.NDA_MISSING.met if count(in_scope) == 0

# METADATA
# title: The fields whose values the request compares; an answer to a filter tells the value
filtered := {field |
	some field in action.filters
	in_scope[field]
}

# METADATA
# title: No person asks, or the one who does is on the roster of those who need to know
# custom:
#   clause: "8.2.1"
requirement.NOT_NEED_TO_KNOW.met if subject.person == "none"

requirement.NOT_NEED_TO_KNOW.met if in_force(circumstances.roster)
