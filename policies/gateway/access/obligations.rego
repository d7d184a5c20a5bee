package gateway.access

# METADATA
# title: What the gateway must do, and the recipient owe, if the answer is yes
# description: Closed types. The gateway refuses an answer with an obligation missing, twice, or unknown.
obligations := [
	{"type": "frequency", "reads": input.agreement.frequency.reads, "per_seconds": input.agreement.frequency.per_seconds},
	{"type": "subject_consent", "required": consent_required, "purpose": input.context.purpose},
	{"type": "confidentiality", "years": input.agreement.confidentiality_years},
]

# METADATA
# title: Personal data leaves only with the person's own consent
# custom:
#   clause: "4.3.1"
default consent_required := true

consent_required := false if input.resource.kind in {"market", "product"}
