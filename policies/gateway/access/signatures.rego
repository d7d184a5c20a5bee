package gateway.access

# METADATA
# title: The actions of this request for which the agreement demands a signed message
demanding := [action |
	some action in input.agreement.signed_messages.actions
	action in input.action.includes
]

# METADATA
# title: The agreement demands no signature for this, or the message is signed by the profile that it names
# custom:
#   clause: "4.1.2"
met contains "MESSAGE_SIGNATURE_REQUIRED" if {
	input.action.name in input.action.includes
	count(demanding) == 0
}

met contains "MESSAGE_SIGNATURE_REQUIRED" if {
	input.action.signature != "none"
	input.action.signature == input.agreement.signed_messages.profile
}
