package gateway.access_test

import data.gateway.access

always := {"from": 0, "until": 253402300799}

never := {"from": 0, "until": 0}

plain := {
	"subject": {
		"member": "bank",
		"client": "bank-client",
		"member_state": "admitted",
		"client_state": "active",
		"person": "p1",
		"qualified_until": 3000,
		"clearance": 3,
		"country": "CN",
		"grants": [{
			"agreement": "a1",
			"datasets": ["flights"],
			"purposes": ["market_analysis", "settlement"],
			"actions": ["read"],
		}],
	},
	"action": {
		"name": "read",
		"method": "api",
		"fields": ["carrier", "origin"],
		"filters": ["carrier"],
		"includes": ["read"],
		"signature": "none",
	},
	"resource": {
		"dataset": "flights",
		"owner": "airline",
		"owner_state": "admitted",
		"owner_qualified_until": 4000,
		"country": "CN",
		"kind": "market",
		"fields": {"carrier": "plain", "origin": "route", "tailnum": "asset"},
		"grades": {"carrier": 1, "origin": 3, "tailnum": 3},
		"confidential": {"carrier": "public", "origin": "business_secret", "tailnum": "technical_secret"},
	},
	"context": {"now": 1000, "purpose": "market_analysis"},
	"agreement": {
		"id": "a1",
		"version": 3,
		"state": "signed",
		"owner": "airline",
		"recipient": "bank",
		"starts_at": 500,
		"ends_at": 2000,
		"granted_fields": ["origin", "carrier"],
		"purposes": ["market_analysis"],
		"methods": ["api"],
		"frequency": {"reads": 100, "per_seconds": 60},
		"confidentiality_years": 5,
		"onward": "forbidden",
		"signed_messages": {"profile": "none", "actions": []},
		"volume": {"records": 500, "per_seconds": 3600},
		"lawful_basis": "none",
		"retention_days": 30,
		"third_parties": ["processor"],
	},
	"circumstances": {
		"owner_participation": always,
		"recipient_participation": always,
		"organisation_nda": always,
		"person_nda": always,
		"roster": always,
		"assessment": never,
		"transfer": never,
	},
	"onward_consents": [],
	"holds": [],
}

hold := {"case": "c1", "subject": "flights", "state": "active", "from": 0, "until": 5000}

personal := json.patch(plain, [
	{"op": "replace", "path": "/resource/kind", "value": "personal"},
	{"op": "replace", "path": "/agreement/lawful_basis", "value": "consent"},
	{"op": "replace", "path": "/circumstances/assessment", "value": always},
])

edited_personal(place, value) := json.patch(personal, [{"op": "replace", "path": place, "value": value}])

demanded := {"profile": "profile-1", "actions": ["query", "read"]}

edited(place, value) := json.patch(plain, [{"op": "replace", "path": place, "value": value}])

answer(place, value) := decision if {
	decision := access.decision with input as edited(place, value)
}

codes(place, value) := [reason.code | some reason in answer(place, value).reasons]

clauses(place, value) := [reason.clause | some reason in answer(place, value).reasons]

test_what_is_agreed_is_permitted if {
	decision := access.decision with input as plain
	decision == {
		"effect": "permit",
		"fields": {"carrier", "origin"},
		"classes": {"plain", "route"},
		"obligations": [
			{"type": "frequency", "reads": 100, "per_seconds": 60},
			{"type": "volume", "records": 500, "per_seconds": 3600},
			{"type": "subject_consent", "required": false, "purpose": "market_analysis"},
			{"type": "confidentiality", "years": 5},
			{"type": "mask", "fields": set(), "code": "NDA_MISSING", "clause": "8.1.1"},
			{"type": "mark", "level": "confidential"},
			{"type": "retain_until", "days": 30},
			{"type": "notify", "owner": false},
		],
		"reasons": [],
		"valid_until": 2000,
	}
}

test_nothing_is_a_refusal if {
	decision := access.decision with input as {}
	decision == {
		"effect": "deny",
		"fields": [],
		"classes": [],
		"obligations": [],
		"reasons": [{"code": "CASE_MALFORMED", "clause": ""}],
		"valid_until": 0,
	}
}

test_a_refusal_grants_nothing if {
	answer("/agreement/state", "draft") == {
		"effect": "deny",
		"fields": [],
		"classes": [],
		"obligations": [],
		"reasons": [{"code": "AGREEMENT_NOT_IN_FORCE", "clause": "2.3.2"}],
		"valid_until": 2000,
	}
}

test_these_are_the_purposes if {
	access.purposes == {
		"market_analysis",
		"product_information",
		"joint_marketing",
		"customer_referral",
		"service_delivery",
		"personalisation",
		"settlement",
		"risk_control",
		"matching",
	}
}

test_matching_goes_by_overlap_alone_and_nothing_else_does if {
	agreed := json.patch(plain, [
		{"op": "add", "path": "/agreement/purposes/-", "value": "matching"},
		{"op": "add", "path": "/subject/grants/0/purposes/-", "value": "matching"},
		{"op": "add", "path": "/agreement/methods/-", "value": "overlap"},
	])
	every asked in [["matching", "overlap", []], ["matching", "api", unfit], ["market_analysis", "overlap", unfit]] {
		case := json.patch(agreed, [
			{"op": "replace", "path": "/context/purpose", "value": asked[0]},
			{"op": "replace", "path": "/action/method", "value": asked[1]},
		])
		decision := access.decision with input as case
		decision.reasons == asked[2]
	}
}

unfit := [{"code": "METHOD_NOT_AGREED", "clause": "4.1.2"}]

test_personal_data_needs_consent if {
	decision := access.decision with input as personal
	some obligation in decision.obligations
	obligation == {"type": "subject_consent", "required": true, "purpose": "market_analysis"}
}

test_product_data_needs_none if {
	some obligation in answer("/resource/kind", "product").obligations
	obligation == {"type": "subject_consent", "required": false, "purpose": "market_analysis"}
}

test_each_requirement_names_its_code_and_clause if {
	every case in [
		["/subject/member_state", "prospect", "NOT_ADMITTED", "2.2.3"],
		["/resource/owner_state", "prospect", "NOT_ADMITTED", "2.2.3"],
		["/subject/member_state", "suspended", "MEMBER_SUSPENDED", "9.2.3"],
		["/resource/owner_state", "suspended", "MEMBER_SUSPENDED", "9.2.3"],
		["/subject/client_state", "revoked", "CLIENT_REVOKED", "2.2.3"],
		["/agreement/state", "draft", "AGREEMENT_NOT_IN_FORCE", "2.3.2"],
		["/agreement/state", "terminated", "AGREEMENT_NOT_IN_FORCE", "2.3.2"],
		["/agreement/owner", "hotel", "AGREEMENT_NOT_IN_FORCE", "2.3.2"],
		["/context/now", 499, "AGREEMENT_NOT_IN_FORCE", "2.3.2"],
		["/context/now", 2000, "AGREEMENT_NOT_IN_FORCE", "2.3.2"],
		["/action/fields", [], "OUT_OF_SCOPE", "4.1.2"],
		["/action/fields", ["carrier", "tailnum"], "OUT_OF_SCOPE", "4.1.2"],
		["/resource/fields", {"carrier": "plain"}, "OUT_OF_SCOPE", "4.1.2"],
		["/action/filters", ["tailnum"], "OUT_OF_SCOPE", "4.1.2"],
		["/agreement/granted_fields", [], "OUT_OF_SCOPE", "4.1.2"],
		["/agreement/methods", ["file"], "METHOD_NOT_AGREED", "4.1.2"],
		["/agreement/methods", [], "METHOD_NOT_AGREED", "4.1.2"],
		["/agreement/signed_messages", demanded, "MESSAGE_SIGNATURE_REQUIRED", "4.1.2"],
		["/context/purpose", "settlement", "PURPOSE_NOT_AGREED", "8.2.2"],
		["/subject/grants/0/purposes", ["settlement"], "PURPOSE_NOT_AGREED", "8.2.2"],
		["/subject/qualified_until", 1000, "QUALIFICATION_EXPIRED", "2.1.1"],
		["/resource/owner_qualified_until", 1000, "QUALIFICATION_EXPIRED", "2.1.1"],
		["/agreement/frequency/reads", 0, "TERM_MISSING", "2.3.1"],
		["/circumstances/owner_participation", never, "NOT_OPTED_IN", "1.3.1"],
		["/circumstances/recipient_participation", {"from": 0, "until": 1000}, "NOT_OPTED_IN", "1.3.1"],
		["/circumstances/recipient_participation", {"from": 1001, "until": 2000}, "NOT_OPTED_IN", "1.3.1"],
		["/circumstances/roster", never, "NOT_NEED_TO_KNOW", "8.2.1"],
		["/subject/clearance", 2, "CLEARANCE", "4.1.3"],
		["/resource/grades/carrier", 5, "CLEARANCE", "4.1.3"],
		["/subject/country", "SG", "CROSS_BORDER_BLOCKED", "1.3.4"],
		["/holds", [hold], "DISPUTED_ITEM", "7.2.3"],
		["/holds", [object.union(hold, {"state": "lifted"}), hold], "DISPUTED_ITEM", "7.2.3"],
	] {
		codes(case[0], case[1]) == [case[2]]
		clauses(case[0], case[1]) == [case[3]]
	}
}

test_a_purpose_outside_the_registry_is_named_even_if_agreed if {
	case := json.patch(plain, [
		{"op": "replace", "path": "/context/purpose", "value": "curiosity"},
		{"op": "add", "path": "/agreement/purposes/-", "value": "curiosity"},
		{"op": "add", "path": "/subject/grants/0/purposes/-", "value": "curiosity"},
	])
	decision := access.decision with input as case
	decision.reasons == [{"code": "PURPOSE_UNKNOWN", "clause": "1.1"}]
}

test_a_token_that_covers_something_else_covers_nothing if {
	every place in ["agreement", "datasets/0", "actions/0"] {
		codes(sprintf("/subject/grants/0/%s", [place]), "other") == ["OUT_OF_SCOPE", "PURPOSE_NOT_AGREED"]
	}
}

test_two_grants_are_not_added_up if {
	grants := [
		{"agreement": "a1", "datasets": ["flights"], "purposes": ["settlement"], "actions": ["read"]},
		{"agreement": "a1", "datasets": ["planes"], "purposes": ["market_analysis"], "actions": ["read"]},
	]
	codes("/subject/grants", grants) == ["PURPOSE_NOT_AGREED"]
}

test_all_unmet_requirements_are_named_in_the_rulebooks_order if {
	case := json.patch(plain, [
		{"op": "replace", "path": "/holds", "value": [hold]},
		{"op": "replace", "path": "/context", "value": {"now": 1, "purpose": "curiosity"}},
		{"op": "replace", "path": "/subject/member_state", "value": "prospect"},
		{"op": "replace", "path": "/resource/owner_state", "value": "suspended"},
		{"op": "replace", "path": "/subject/client_state", "value": "revoked"},
		{"op": "replace", "path": "/action/method", "value": "push"},
		{"op": "replace", "path": "/agreement/signed_messages", "value": demanded},
		{"op": "replace", "path": "/action/fields", "value": ["tailnum", "carrier", "origin"]},
		{"op": "replace", "path": "/action/filters", "value": ["origin"]},
		{"op": "replace", "path": "/subject/member", "value": "hotel"},
		{"op": "replace", "path": "/subject/qualified_until", "value": 1},
		{"op": "replace", "path": "/subject/clearance", "value": 0},
		{"op": "replace", "path": "/subject/country", "value": "SG"},
		{"op": "replace", "path": "/resource/kind", "value": "personal"},
		{"op": "replace", "path": "/agreement/frequency/reads", "value": 0},
		{"op": "replace", "path": "/circumstances/owner_participation", "value": never},
		{"op": "replace", "path": "/circumstances/roster", "value": never},
		{"op": "replace", "path": "/circumstances/person_nda", "value": never},
	])
	decision := access.decision with input as case
	decision.reasons == access.requirements
}

test_a_lifted_hold_holds_nothing if {
	answer("/holds", [object.union(hold, {"state": "lifted"})]).effect == "permit"
}

test_the_answer_holds_until_the_next_instant if {
	answer("/context/now", 499).valid_until == 500
	answer("/context/now", 500).valid_until == 2000
	answer("/context/now", 1999).valid_until == 2000
	answer("/context/now", 2000).valid_until == 3000
	answer("/context/now", 253402300799).valid_until == 0
}
