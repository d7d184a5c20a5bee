package gateway.access

# METADATA
# title: A party to the agreement asks, or a third party under the owner's written consent to this purpose
# custom:
#   clause: "8.2.2"
requirement.ONWARD_CONSENT_MISSING.met if subject.member in parties

requirement.ONWARD_CONSENT_MISSING.met if {
	agreement.onward == "written_consent"
	some consent in onward_consents
	consent.purpose == purpose
	in_force(consent)
}

# METADATA
# title: The two who signed
parties := {agreement.owner, agreement.recipient}
