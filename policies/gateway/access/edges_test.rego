package gateway.access_test

import data.gateway.access

changed(case, values) := json.patch(case, [{"op": "replace", "path": place, "value": value} | some place, value in values])

test_these_are_the_requirements_in_the_rulebooks_order if {
	[[required.code, required.clause] | some required in access.requirements] == [
		["NOT_ADMITTED", "2.2.3"],
		["QUALIFICATION_EXPIRED", "2.1.1"],
		["MEMBER_SUSPENDED", "9.2.3"],
		["CLIENT_REVOKED", "2.2.3"],
		["AGREEMENT_NOT_IN_FORCE", "2.3.2"],
		["TERM_MISSING", "2.3.1"],
		["NOT_OPTED_IN", "1.3.1"],
		["OUT_OF_SCOPE", "4.1.2"],
		["METHOD_NOT_AGREED", "4.1.2"],
		["MESSAGE_SIGNATURE_REQUIRED", "4.1.2"],
		["PURPOSE_UNKNOWN", "1.1"],
		["PURPOSE_NOT_AGREED", "8.2.2"],
		["NO_LAWFUL_BASIS", "1.3.4"],
		["NOT_NEED_TO_KNOW", "8.2.1"],
		["NDA_MISSING", "8.1.1"],
		["DISPUTED_ITEM", "7.2.3"],
		["CLEARANCE", "4.1.3"],
		["PIA_MISSING", "1.3.4"],
		["CROSS_BORDER_BLOCKED", "1.3.4"],
		["ONWARD_CONSENT_MISSING", "8.2.2"],
	]
}

test_these_are_the_lawful_bases if {
	access.lawful_bases == {"consent", "contract", "legal_obligation", "public_information"}
}

test_what_begins_now_has_begun if {
	all_of(edited("/agreement/starts_at", 1000)).effect == "permit"
	every side in ["owner_participation", "recipient_participation", "roster"] {
		all_of(edited(concat("/", ["/circumstances", side, "from"]), 1000)).effect == "permit"
	}
	reasons_of(edited("/holds", [object.union(hold, {"from": 1000})])) == ["DISPUTED_ITEM"]
}

test_a_hold_of_an_unknown_state_holds_whatever_its_interval if {
	every interval in [{"from": 1001, "until": 5000}, {"from": 0, "until": 1000}] {
		reasons_of(edited("/holds", [object.union(object.union(hold, {"state": "paused"}), interval)])) == ["DISPUTED_ITEM"]
	}
}

test_one_read_is_a_frequency if {
	all_of(edited("/agreement/frequency", {"reads": 1, "per_seconds": 1})).effect == "permit"
	all_of(edited("/agreement/volume", {"records": 1, "per_seconds": 1})).effect == "permit"
}

test_the_least_and_the_greatest_number_are_numbers if {
	every number in [0, 9007199254740991] { all_of(edited("/agreement/version", number)).effect == "permit" }
}

test_no_field_at_all_is_out_of_scope if {
	reasons_of(changed(plain, {"/action/fields": [], "/action/filters": []})) == ["OUT_OF_SCOPE"]
}

test_a_filter_is_on_a_field_that_is_asked_for if {
	reasons_of(changed(plain, {"/action/fields": ["origin"], "/action/filters": ["carrier"]})) == ["OUT_OF_SCOPE"]
}

test_of_a_field_that_is_not_granted_nothing_is_said_but_its_scope if {
	every nda in [always, never] {
		every kind in ["public", "technical_secret"] {
			reasons_of(changed(plain, {
				"/action/fields": ["carrier", "tailnum"],
				"/action/filters": ["tailnum"],
				"/resource/grades/tailnum": 6,
				"/resource/confidential/tailnum": kind,
				"/circumstances/person_nda": nda,
			})) == ["OUT_OF_SCOPE"]
		}
	}
}

test_the_grade_of_a_field_that_does_not_leave_is_nobodys_concern if {
	all_of(changed(plain, {"/circumstances/person_nda": never, "/resource/grades/origin": 6})).fields == {"carrier"}
	case := changed(plain, {"/agreement/granted_fields": ["carrier", "origin", "tailnum"], "/resource/grades/tailnum": 6})
	all_of(case).fields == {"carrier", "origin"}
}

test_a_secret_leaves_alone_and_is_filtered_on_under_both_ndas if {
	all_of(changed(plain, {"/action/fields": ["origin"], "/action/filters": ["origin"]})).fields == {"origin"}
}

test_of_a_field_that_is_not_there_nothing_is_said_but_its_scope if {
	case := changed(plain, {
		"/agreement/granted_fields": ["ghost"],
		"/action/fields": ["ghost"],
		"/action/filters": [],
		"/circumstances/person_nda": never,
	})
	reasons_of(case) == ["OUT_OF_SCOPE"]
}

test_grade_4_is_the_highest_that_is_shared_whoever_is_cleared_for_more if {
	all_of(changed(plain, {"/subject/clearance": 6, "/resource/grades/carrier": 4})).effect == "permit"
	every grade in [5, 6] {
		reasons_of(changed(plain, {"/subject/clearance": 6, "/resource/grades/carrier": grade})) == ["CLEARANCE"]
	}
}

test_what_is_public_about_persons_crosses_no_border_without_a_mechanism if {
	reasons_of(json.patch(edited_personal("/action/fields", ["carrier"]), abroad)) == ["CROSS_BORDER_BLOCKED"]
}

test_what_is_public_about_persons_is_marked_as_personal if {
	some mark in all_of(edited_personal("/action/fields", ["carrier"])).obligations
	mark == {"type": "mark", "level": "personal"}
}

test_the_owner_needs_no_consent_of_its_own if {
	case := changed(plain, {"/subject/member": "airline", "/agreement/third_parties": ["airline"]})
	all_of(case).effect == "permit"
	some obligation in all_of(case).obligations
	obligation == {"type": "notify", "owner": false}
}

test_each_kind_of_secret_leaves_under_both_ndas_alone_and_no_other_is_known if {
	every kind in ["business_secret", "technical_secret", "customer", "financial"] {
		all_of(edited("/resource/confidential/origin", kind)).fields == {"carrier", "origin"}
		all_of(changed(plain, {"/resource/confidential/origin": kind, "/circumstances/person_nda": never})).fields == {"carrier"}
	}
	refused("/resource/confidential/origin", "no_secret")
}

test_an_instant_of_the_terms_is_asked_for_where_no_circumstance_stands if {
	alone := changed(plain, {"/circumstances": {}})
	every place in ["/agreement/starts_at", "/agreement/ends_at", "/subject/qualified_until", "/resource/owner_qualified_until"] {
		malformed(all_of(json.remove(alone, [place])))
	}
}

test_each_grant_is_asked_for_its_types_and_there_may_be_none if {
	good := {"agreement": "a1", "datasets": ["flights"], "purposes": ["market_analysis"], "actions": ["read"]}
	every place in ["agreement", "datasets", "purposes", "actions"] {
		refused("/subject/grants", [good, object.union(good, {place: 1})])
	}
	reasons_of(edited("/subject/grants", [])) == ["OUT_OF_SCOPE", "PURPOSE_NOT_AGREED"]
}

test_only_fields_that_are_asked_for_are_named_as_masked if {
	masked_of(changed(plain, {"/action/fields": ["carrier"], "/circumstances/person_nda": never})) == set()
}

test_whatever_field_is_asked_for_both_sides_take_part if {
	alone := changed(plain, {"/action/filters": [], "/circumstances/owner_participation": never})
	reasons_of(changed(alone, {"/action/fields": ["origin"]})) == ["NOT_OPTED_IN"]
	reasons_of(changed(alone, {"/action/fields": ["tailnum"]})) == ["NOT_OPTED_IN", "OUT_OF_SCOPE"]
}
