package gateway.access_test

import data.gateway.access

malformed(decision) if {
	decision.effect == "deny"
	decision.reasons == [{"code": "CASE_MALFORMED", "clause": ""}]
	decision.valid_until == 0
}

of_one_hold := json.patch(plain, [
	{"op": "replace", "path": "/holds", "value": [hold]},
	{"op": "replace", "path": "/onward_consents", "value": [object.union(always, {"purpose": "settlement"})]},
])

words := [
	"/subject/member",
	"/subject/client",
	"/subject/member_state",
	"/subject/client_state",
	"/subject/person",
	"/subject/country",
	"/subject/grants/0/agreement",
	"/action/name",
	"/action/method",
	"/action/signature",
	"/resource/dataset",
	"/resource/owner",
	"/resource/owner_state",
	"/resource/country",
	"/resource/confidential/tailnum",
	"/resource/kind",
	"/resource/fields/tailnum",
	"/context/purpose",
	"/agreement/id",
	"/agreement/state",
	"/agreement/owner",
	"/agreement/recipient",
	"/agreement/onward",
	"/agreement/lawful_basis",
	"/onward_consents/0/purpose",
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
	"/agreement/volume/records",
	"/agreement/volume/per_seconds",
	"/agreement/retention_days",
	"/subject/qualified_until",
	"/subject/clearance",
	"/resource/owner_qualified_until",
	"/resource/grades/tailnum",
	"/circumstances/owner_participation/from",
	"/circumstances/owner_participation/until",
	"/circumstances/recipient_participation/from",
	"/circumstances/recipient_participation/until",
	"/circumstances/organisation_nda/from",
	"/circumstances/organisation_nda/until",
	"/circumstances/person_nda/from",
	"/circumstances/person_nda/until",
	"/circumstances/roster/from",
	"/circumstances/roster/until",
	"/circumstances/assessment/from",
	"/circumstances/assessment/until",
	"/circumstances/transfer/from",
	"/circumstances/transfer/until",
	"/onward_consents/0/from",
	"/onward_consents/0/until",
	"/holds/0/from",
	"/holds/0/until",
]

lists := [
	"/subject/grants",
	"/subject/grants/0/datasets",
	"/subject/grants/0/purposes",
	"/subject/grants/0/actions",
	"/action/fields",
	"/action/filters",
	"/action/includes",
	"/agreement/granted_fields",
	"/agreement/purposes",
	"/agreement/methods",
	"/agreement/signed_messages/actions",
	"/agreement/third_parties",
	"/onward_consents",
	"/holds",
]

objects := [
	"/subject",
	"/action",
	"/resource",
	"/resource/fields",
	"/resource/grades",
	"/resource/confidential",
	"/context",
	"/agreement",
	"/agreement/frequency",
	"/agreement/volume",
	"/circumstances",
	"/agreement/signed_messages",
]

circumstances := [
	"/circumstances/owner_participation",
	"/circumstances/recipient_participation",
	"/circumstances/organisation_nda",
	"/circumstances/person_nda",
	"/circumstances/roster",
	"/circumstances/assessment",
	"/circumstances/transfer",
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

test_a_window_a_volume_and_a_grade_are_never_zero if {
	refused("/agreement/frequency/per_seconds", 0)
	refused("/agreement/volume/records", 0)
	refused("/agreement/volume/per_seconds", 0)
	refused("/resource/grades/tailnum", 0)
}

test_a_list_is_an_array_of_what_it_lists if {
	every place in lists {
		every value in [null, true, 1, "read", {}, {"x": "read"}, [1], ["read", null]] { refused(place, value) }
	}
}

test_an_object_is_an_object if {
	every place in array.concat(objects, circumstances) {
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
