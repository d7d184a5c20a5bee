package gateway.access_test

import data.gateway.access

asked(includes, signature, signed_messages) := decision if {
	decision := access.decision with input as json.patch(plain, [
		{"op": "replace", "path": "/action/includes", "value": includes},
		{"op": "replace", "path": "/action/signature", "value": signature},
		{"op": "replace", "path": "/agreement/signed_messages", "value": signed_messages},
	])
}

refused_unsigned(includes, signature, signed_messages) if {
	decision := asked(includes, signature, signed_messages)
	decision.reasons == [{"code": "MESSAGE_SIGNATURE_REQUIRED", "clause": "4.1.2"}]
}

test_a_demanded_signature_by_the_agreed_profile_is_permitted if {
	asked(["read"], "profile-1", demanded).effect == "permit"
	asked(["read", "query"], "profile-1", demanded).effect == "permit"
}

test_a_signature_that_nobody_demands_is_permitted if {
	asked(["read"], "profile-1", {"profile": "none", "actions": []}).effect == "permit"
}

test_without_the_demanded_signature_nothing_is_permitted if {
	refused_unsigned(["read"], "none", demanded)
	refused_unsigned(["read"], "profile-2", demanded)
	refused_unsigned(["read", "query"], "none", {"profile": "profile-1", "actions": ["query"]})
}

test_a_request_that_does_not_include_its_own_action_is_not_excused if {
	refused_unsigned(["query"], "none", {"profile": "profile-1", "actions": ["read"]})
	refused_unsigned([], "none", demanded)
}

test_only_the_chosen_actions_need_a_signature if {
	asked(["read"], "none", {"profile": "profile-1", "actions": ["query"]}).effect == "permit"
}

test_no_profile_at_all_is_not_a_profile_that_a_message_can_have if {
	refused_unsigned(["read"], "none", {"profile": "none", "actions": ["read"]})
}
