package gateway.access

# METADATA
# title: The actions of this request for which the agreement demands a signed message
demanding := [name |
	some name in agreement.signed_messages.actions
	name in action.includes
]

# METADATA
# title: The agreement demands no signature for this, or the message is signed by the profile that it names
# custom:
#   clause: "4.1.2"
requirement.MESSAGE_SIGNATURE_REQUIRED.met if {
	action.name in action.includes
	count(demanding) == 0
}

requirement.MESSAGE_SIGNATURE_REQUIRED.met if {
	action.signature != "none"
	action.signature == agreement.signed_messages.profile
}
