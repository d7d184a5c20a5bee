package gateway.access_test

import data.gateway.access

all_of(case) := decision if {
	decision := access.decision with input as case
}

reasons_of(case) := [reason.code | some reason in all_of(case).reasons]

masked_of(case) := fields if {
	some obligation in all_of(case).obligations
	obligation.type == "mask"
	fields := obligation.fields
}

test_without_an_nda_confidential_fields_are_omitted_and_named if {
	every place in ["/circumstances/organisation_nda", "/circumstances/person_nda"] {
		every interval in [never, {"from": 0, "until": 1000}, {"from": 1001, "until": 5000}] {
			case := edited(place, interval)
			all_of(case).fields == {"carrier"}
			all_of(case).classes == {"plain"}
			masked_of(case) == {"origin"}
		}
	}
}

test_without_a_field_left_the_nda_is_missing if {
	case := json.patch(edited("/circumstances/person_nda", never), [
		{"op": "replace", "path": "/action/fields", "value": ["origin"]},
		{"op": "replace", "path": "/action/filters", "value": []},
	])
	reasons_of(case) == ["NDA_MISSING"]
}

test_a_filter_on_a_masked_field_would_tell_its_value if {
	case := json.patch(edited("/circumstances/person_nda", never), [{"op": "replace", "path": "/action/filters", "value": ["origin"]}])
	reasons_of(case) == ["NDA_MISSING"]
}

test_a_system_without_a_person_needs_no_roster if {
	case := json.patch(plain, [
		{"op": "replace", "path": "/subject/person", "value": "none"},
		{"op": "replace", "path": "/circumstances/roster", "value": never},
	])
	all_of(case).effect == "permit"
}

test_personal_data_needs_a_lawful_basis_and_an_assessment if {
	all_of(personal).effect == "permit"
	reasons_of(edited_personal("/agreement/lawful_basis", "none")) == ["NO_LAWFUL_BASIS"]
	reasons_of(edited_personal("/agreement/lawful_basis", "non_personal")) == ["NO_LAWFUL_BASIS"]
	reasons_of(edited_personal("/circumstances/assessment", {"from": 0, "until": 1000})) == ["PIA_MISSING"]
	every basis in access.lawful_bases { all_of(edited_personal("/agreement/lawful_basis", basis)).effect == "permit" }
}

abroad := [{"op": "replace", "path": "/subject/country", "value": "SG"}]

test_nothing_that_the_law_guards_crosses_a_border_without_a_mechanism if {
	reasons_of(json.patch(plain, abroad)) == ["CROSS_BORDER_BLOCKED"]
	reasons_of(json.patch(personal, abroad)) == ["CROSS_BORDER_BLOCKED"]
	all_of(json.patch(edited("/circumstances/transfer", always), abroad)).effect == "permit"
	all_of(json.patch(edited("/action/fields", ["carrier"]), abroad)).effect == "permit"
	all_of(json.patch(edited("/circumstances/person_nda", never), abroad)).fields == {"carrier"}
}

test_a_country_that_nobody_stated_equals_none if {
	case := json.patch(plain, [
		{"op": "replace", "path": "/subject/country", "value": "ZZ"},
		{"op": "replace", "path": "/resource/country", "value": "ZZ"},
	])
	reasons_of(case) == ["CROSS_BORDER_BLOCKED"]
}

onward(mode, consents) := json.patch(plain, [
	{"op": "replace", "path": "/subject/member", "value": "processor"},
	{"op": "replace", "path": "/agreement/onward", "value": mode},
	{"op": "replace", "path": "/onward_consents", "value": consents},
])

test_a_third_party_needs_the_owners_consent_to_this_purpose if {
	granted := {"purpose": "market_analysis", "from": 0, "until": 1500}
	all_of(onward("written_consent", [granted])).effect == "permit"
	all_of(onward("written_consent", [granted])).valid_until == 1500
	reasons_of(onward("written_consent", [])) == ["ONWARD_CONSENT_MISSING"]
	reasons_of(onward("forbidden", [granted])) == ["ONWARD_CONSENT_MISSING"]
	every change in [{"purpose": "settlement"}, {"until": 1000}, {"from": 1001}] {
		reasons_of(onward("written_consent", [object.union(granted, change)])) == ["ONWARD_CONSENT_MISSING"]
	}
	some obligation in all_of(onward("written_consent", [granted])).obligations
	obligation == {"type": "notify", "owner": true}
}

test_somebody_whom_the_terms_do_not_name_is_refused if {
	reasons_of(edited("/subject/member", "hotel")) == ["AGREEMENT_NOT_IN_FORCE", "ONWARD_CONSENT_MISSING"]
	reasons_of(edited("/agreement/recipient", "hotel")) == ["AGREEMENT_NOT_IN_FORCE", "ONWARD_CONSENT_MISSING"]
}

without(case, circumstance) := json.patch(case, [{"op": "remove", "path": concat("/", ["/circumstances", circumstance])}])

test_what_does_not_stand_is_not_in_force if {
	every side in ["owner_participation", "recipient_participation"] {
		reasons_of(without(plain, side)) == ["NOT_OPTED_IN"]
	}
	reasons_of(without(plain, "roster")) == ["NOT_NEED_TO_KNOW"]
	reasons_of(without(personal, "assessment")) == ["PIA_MISSING"]
	reasons_of(json.patch(without(plain, "transfer"), abroad)) == ["CROSS_BORDER_BLOCKED"]
	every nda in ["organisation_nda", "person_nda"] { masked_of(without(plain, nda)) == {"origin"} }
}

test_a_hold_ends_by_itself if {
	all_of(edited("/holds", [object.union(hold, {"until": 1000})])).effect == "permit"
	all_of(edited("/holds", [object.union(hold, {"from": 1001})])).effect == "permit"
	all_of(edited("/holds", [object.union(hold, {"from": 1001})])).valid_until == 1001
	reasons_of(edited("/holds", [object.union(hold, {"until": 1001})])) == ["DISPUTED_ITEM"]
	all_of(edited("/holds", [object.union(hold, {"until": 1001})])).valid_until == 1001
}

test_what_leaves_is_marked if {
	some mark in all_of(personal).obligations
	mark == {"type": "mark", "level": "personal"}
	some none in all_of(edited("/action/fields", ["carrier"])).obligations
	none == {"type": "mark", "level": "none"}
}

test_the_answer_holds_until_each_compared_instant if {
	every place in [
		"/subject/qualified_until",
		"/resource/owner_qualified_until",
		"/circumstances/owner_participation/until",
		"/circumstances/recipient_participation/until",
		"/circumstances/organisation_nda/until",
		"/circumstances/person_nda/until",
		"/circumstances/roster/until",
	] {
		all_of(edited(place, 1001)).valid_until == 1001
		all_of(edited(place, 1001)).effect == "permit"
	}
	all_of(edited_personal("/circumstances/assessment/until", 1001)).valid_until == 1001
	all_of(edited("/circumstances/transfer", {"from": 1234, "until": 5000})).valid_until == 1234
}

test_about_what_is_not_granted_nothing_is_said_but_its_scope if {
	case := json.patch(edited("/agreement/granted_fields", []), [{"op": "replace", "path": "/circumstances/owner_participation", "value": never}])
	reasons_of(case) == ["OUT_OF_SCOPE"]
}
