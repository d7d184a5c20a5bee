package gateway.access

# METADATA
# title: The alliance's registry of purposes
# custom:
#   clause: "1.1"
purposes := {
	"market_analysis",
	"product_information",
	"joint_marketing",
	"customer_referral",
	"service_delivery",
	"personalisation",
	"settlement",
	"risk_control",
	"matching",
}

# METADATA
# title: The purpose is one that the alliance knows
# custom:
#   clause: "1.1"
requirement.PURPOSE_UNKNOWN.met if purpose in purposes

# METADATA
# title: The purpose is agreed for this dataset, and the token was issued for it
# custom:
#   clause: "8.2.2"
requirement.PURPOSE_NOT_AGREED.met if {
	purpose in agreement.purposes
	some grant in token_grants
	purpose in grant.purposes
}
