package gateway.access

# METADATA
# title: Nothing crosses a border, or nothing that the law guards, or a transfer mechanism stands
# custom:
#   clause: "1.3.4"
requirement.CROSS_BORDER_BLOCKED.met if {
	subject.country == resource.country
	subject.country != unknown_country
}

requirement.CROSS_BORDER_BLOCKED.met if {
	about_no_person
	only_public
}

requirement.CROSS_BORDER_BLOCKED.met if in_force(circumstances.transfer)

# METADATA
# title: The code of a country that nobody has stated (reserved for users by ISO 3166); it equals none
unknown_country := "ZZ"
