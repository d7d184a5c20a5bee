package gateway.access

# METADATA
# title: The papers that both sides were admitted by are valid still
# custom:
#   clause: "2.1.1"
requirement.QUALIFICATION_EXPIRED.met if {
	now < subject.qualified_until
	now < resource.owner_qualified_until
}
