package gateway.access

# METADATA
# title: Both sides have been admitted to the alliance
# custom:
#   clause: "2.2.3"
requirement.NOT_ADMITTED.met if {
	subject.member_state in admitted
	resource.owner_state in admitted
}

# METADATA
# title: The states of a member that has been admitted; a suspension is another requirement's
admitted := {"admitted", "suspended"}

# METADATA
# title: Neither side is suspended
# custom:
#   clause: "9.2.3"
requirement.MEMBER_SUSPENDED.met if {
	subject.member_state != "suspended"
	resource.owner_state != "suspended"
}

# METADATA
# title: The client that asks has not been revoked
# custom:
#   clause: "2.2.3"
requirement.CLIENT_REVOKED.met if subject.client_state == "active"
