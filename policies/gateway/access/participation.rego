package gateway.access

# METADATA
# title: Both sides have opted in to sharing this, and neither has left
# custom:
#   clause: "1.3.1"
requirement.NOT_OPTED_IN.met if {
	in_force(circumstances.owner_participation)
	in_force(circumstances.recipient_participation)
}

# METADATA
# title: Where nothing is granted there is nothing to take part in; the scope refuses it
# description: Else a dataset outside the agreement would be told from one that nobody takes part in.
# custom:
#   clause: "1.3.1"
requirement.NOT_OPTED_IN.met if count(granted) == 0
