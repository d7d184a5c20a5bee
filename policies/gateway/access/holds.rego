package gateway.access

# METADATA
# title: No dispute or incident holds the dataset or the agreement now
# custom:
#   clause: "7.2.3"
requirement.DISPUTED_ITEM.met if {
	every hold in holds { holds_nothing(hold) }
}

# METADATA
# title: A hold that was lifted, has not begun, or has run out by itself
holds_nothing(hold) if hold.state == "lifted"

holds_nothing(hold) if {
	hold.state == "active"
	now < hold.from
}

holds_nothing(hold) if {
	hold.state == "active"
	hold.until <= now
}
