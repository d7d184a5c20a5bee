package gateway.access

# METADATA
# title: The parts of the case, each found once and named for all rules
# description: A part that is missing is undefined, and with it whatever asks about it.
subject := input.subject

action := input.action

resource := input.resource

agreement := input.agreement

circumstances := input.circumstances

onward_consents := input.onward_consents

holds := input.holds

now := input.context.now

purpose := input.context.purpose
