package gateway.access_test

import data.gateway.access

malformed(decision) if {
	decision.effect == "deny"
	decision.reasons == [{"code": "CASE_MALFORMED", "clause": ""}]
	decision.valid_until == 0
}

of_one_hold := json.patch(plain, [{"op": "replace", "path": "/holds", "value": [hold]}])

words := [
	"/subject/member",
	"/subject/client",
	"/subject/member_state",
	"/subject/client_state",
	"/subject/grants/0/agreement",
	"/action/name",
	"/action/method",
	"/action/signature",
	"/resource/dataset",
	"/resource/owner",
	"/resource/owner_state",
	"/resource/kind",
	"/resource/fields/tailnum",
	"/context/purpose",
	"/agreement/id",
	"/agreement/state",
	"/agreement/owner",
	"/agreement/recipient",
	"/agreement/onward",
	"/agreement/signed_messages/profile",
	"/holds/0/case",
	"/holds/0/subject",
	"/holds/0/state",
]

numbers := [
	"/context/now",
	"/agreement/version",
	"/agreement/starts_at",
	"/agreement/ends_at",
	"/agreement/frequency/reads",
	"/agreement/frequency/per_seconds",
	"/agreement/confidentiality_years",
]

lists := [
	"/subject/grants",
	"/subject/grants/0/datasets",
	"/subject/grants/0/purposes",
	"/subject/grants/0/actions",
	"/action/fields",
	"/action/includes",
	"/agreement/granted_fields",
	"/agreement/purposes",
	"/agreement/methods",
	"/agreement/signed_messages/actions",
	"/holds",
]

objects := [
	"/subject",
	"/action",
	"/resource",
	"/resource/fields",
	"/context",
	"/agreement",
	"/agreement/frequency",
	"/agreement/signed_messages",
]

refused(place, value) if {
	decision := access.decision with input as json.patch(of_one_hold, [{"op": "replace", "path": place, "value": value}])
	malformed(decision)
}

test_a_word_is_a_string if {
	every place in words {
		every value in [null, true, 1, [], {}, ["read"]] { refused(place, value) }
	}
}

test_a_number_is_an_integer_from_0_to_2_to_the_53_minus_1 if {
	every place in numbers {
		every value in [null, true, "1", -1, 1.5, 9007199254740992, [], {}] { refused(place, value) }
	}
}

test_a_frequency_is_never_zero if {
	refused("/agreement/frequency/reads", 0)
	refused("/agreement/frequency/per_seconds", 0)
}

test_a_list_is_an_array_of_what_it_lists if {
	every place in lists {
		every value in [null, true, 1, "read", {}, {"x": "read"}, [1], ["read", null]] { refused(place, value) }
	}
}

test_an_object_is_an_object if {
	every place in objects {
		every value in [null, true, 1, "read", [], ["read"]] { refused(place, value) }
	}
}

test_a_signature_is_demanded_for_known_actions_alone if {
	every place in ["/action/includes", "/agreement/signed_messages/actions"] {
		every value in [["write"], ["read", "READ"], ["read "]] { refused(place, value) }
	}
}

test_a_missing_member_is_malformed if {
	every place in array.concat(array.concat(words, numbers), array.concat(lists, objects)) {
		decision := access.decision with input as json.remove(of_one_hold, [place])
		is_malformed_without(place, decision)
	}
}

is_malformed_without(_, decision) if malformed(decision)

# A dataset may have one field less.
is_malformed_without("/resource/fields/tailnum", _)

test_kind_and_onward_are_among_those_known if {
	refused("/resource/kind", "secret")
	refused("/agreement/onward", "allowed")
}
