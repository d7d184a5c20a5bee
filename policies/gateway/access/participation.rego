package gateway.access

# METADATA
# title: Both sides have opted in to sharing this, and neither has left
# custom:
#   clause: "1.3.1"
met contains "NOT_OPTED_IN" if {
	in_force(input.circumstances.participation.owner)
	in_force(input.circumstances.participation.recipient)
}
