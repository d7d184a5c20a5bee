package gateway.access

# METADATA
# title: Nothing crosses a border, or nothing that the law guards, or a transfer mechanism stands
# custom:
#   clause: "1.3.4"
met contains "CROSS_BORDER_BLOCKED" if {
	input.subject.country == input.resource.country
	input.subject.country != unknown_country
}

met contains "CROSS_BORDER_BLOCKED" if {
	about_no_person
	only_public
}

met contains "CROSS_BORDER_BLOCKED" if in_force(input.circumstances.transfer)

# METADATA
# title: The code of a country that nobody has stated (reserved for users by ISO 3166); it equals none
unknown_country := "ZZ"
