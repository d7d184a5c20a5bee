package gateway.access

# METADATA
# title: No dispute or incident holds the dataset or the agreement
# custom:
#   clause: "7.2.3"
met contains "DISPUTED_ITEM" if {
	every hold in input.holds { hold.state == "lifted" }
}
