package gateway.access

# METADATA
# title: What the gateway must do, and the recipient owe, if the answer is yes
# description: Closed types. The gateway refuses an answer with an obligation missing, twice, or unknown.
obligations := [
	{"type": "frequency", "reads": agreement.frequency.reads, "per_seconds": agreement.frequency.per_seconds},
	{"type": "volume", "records": agreement.volume.records, "per_seconds": agreement.volume.per_seconds},
	{"type": "subject_consent", "required": consent_required, "purpose": purpose},
	{"type": "confidentiality", "years": agreement.confidentiality_years},
	{"type": "mask", "fields": requested - released, "code": "NDA_MISSING", "clause": "8.1.1"},
	{"type": "mark", "level": mark},
	{"type": "retain_until", "days": agreement.retention_days},
	{"type": "notify", "owner": notify_owner},
]

# METADATA
# title: Personal data leaves only with the person's own consent
# custom:
#   clause: "4.3.1"
default consent_required := true

consent_required := false if about_no_person

# METADATA
# title: The owner is told of what a third party receives
# custom:
#   clause: "8.2.2"
default notify_owner := true

notify_owner := false if subject.member in parties

# METADATA
# title: What is written on everything that leaves
# custom:
#   clause: "4.1.3"
default mark := "personal"

mark := "confidential" if {
	about_no_person
	not only_public
}

mark := "none" if {
	about_no_person
	only_public
}
