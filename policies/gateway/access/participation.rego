package gateway.access

# METADATA
# title: Both sides have opted in to sharing this, and neither has left
# custom:
#   clause: "1.3.1"
met contains "NOT_OPTED_IN" if {
	in_force(input.circumstances.participation.owner)
	in_force(input.circumstances.participation.recipient)
}

# METADATA
# title: Where nothing is granted there is nothing to take part in; the scope refuses it
# description: Else a dataset outside the agreement would be told from one that nobody takes part in.
# custom:
#   clause: "1.3.1"
met contains "NOT_OPTED_IN" if count(granted) == 0
