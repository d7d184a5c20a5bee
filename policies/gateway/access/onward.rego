package gateway.access

# METADATA
# title: A party to the agreement asks, or a third party under the owner's written consent to this purpose
# custom:
#   clause: "8.2.2"
met contains "ONWARD_CONSENT_MISSING" if input.subject.member in parties

met contains "ONWARD_CONSENT_MISSING" if {
	input.agreement.onward == "written_consent"
	some consent in input.circumstances.onward
	consent.purpose == input.context.purpose
	in_force(consent)
}

# METADATA
# title: The two who signed
parties := {input.agreement.owner, input.agreement.recipient}
