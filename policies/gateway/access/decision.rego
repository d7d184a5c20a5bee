# METADATA
# title: May this client read these fields, now, for this purpose?
# description: |
#   One pure function of `input`. Every requirement must be met; what is undefined is unmet.
#   The order of `requirements` is the decision order of the rulebook.
# entrypoint: true
package gateway.access

default decision := {
	"effect": "deny",
	"fields": [],
	"classes": [],
	"obligations": [],
	"reasons": [{"code": "CASE_MALFORMED", "clause": ""}],
	"valid_until": 0,
}

decision := judged if {
	well_typed
	well_known
}

# METADATA
# title: The decision about a case that is well typed, and whose values are known
# description: |
#   Whoever has made sure of that asks this. A server cannot know who asks, and is asked for `decision`.
# entrypoint: true
default judged := {
	"effect": "deny",
	"fields": [],
	"classes": [],
	"obligations": [],
	"reasons": [{"code": "CASE_MALFORMED", "clause": ""}],
	"valid_until": 0,
}

judged := {
	"effect": "permit",
	"fields": released,
	"classes": classes,
	"obligations": obligations,
	"reasons": [],
	"valid_until": valid_until,
} if count(unmet) == 0

else := {
	"effect": "deny",
	"fields": [],
	"classes": [],
	"obligations": [],
	"reasons": unmet,
	"valid_until": valid_until,
} if {
	count(unmet) > 0
}

# METADATA
# title: What must be met, in the rulebook's decision order, each with the clause that demands it
requirements := [
	{"code": "NOT_ADMITTED", "clause": "2.2.3"},
	{"code": "QUALIFICATION_EXPIRED", "clause": "2.1.1"},
	{"code": "MEMBER_SUSPENDED", "clause": "9.2.3"},
	{"code": "CLIENT_REVOKED", "clause": "2.2.3"},
	{"code": "AGREEMENT_NOT_IN_FORCE", "clause": "2.3.2"},
	{"code": "TERM_MISSING", "clause": "2.3.1"},
	{"code": "NOT_OPTED_IN", "clause": "1.3.1"},
	{"code": "OUT_OF_SCOPE", "clause": "4.1.2"},
	{"code": "METHOD_NOT_AGREED", "clause": "4.1.2"},
	{"code": "MESSAGE_SIGNATURE_REQUIRED", "clause": "4.1.2"},
	{"code": "PURPOSE_UNKNOWN", "clause": "1.1"},
	{"code": "PURPOSE_NOT_AGREED", "clause": "8.2.2"},
	{"code": "NO_LAWFUL_BASIS", "clause": "1.3.4"},
	{"code": "NOT_NEED_TO_KNOW", "clause": "8.2.1"},
	{"code": "NDA_MISSING", "clause": "8.1.1"},
	{"code": "DISPUTED_ITEM", "clause": "7.2.3"},
	{"code": "CLEARANCE", "clause": "4.1.3"},
	{"code": "PIA_MISSING", "clause": "1.3.4"},
	{"code": "CROSS_BORDER_BLOCKED", "clause": "1.3.4"},
	{"code": "ONWARD_CONSENT_MISSING", "clause": "8.2.2"},
]

# METADATA
# title: What is not met, in that order
unmet := [required |
	some required in requirements
	code := required.code
	not requirement[code].met
]
