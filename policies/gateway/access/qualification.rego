package gateway.access

# METADATA
# title: The papers that both sides were admitted by are valid still
# custom:
#   clause: "2.1.1"
met contains "QUALIFICATION_EXPIRED" if {
	input.context.now < input.subject.qualified_until
	input.context.now < input.resource.owner_qualified_until
}
