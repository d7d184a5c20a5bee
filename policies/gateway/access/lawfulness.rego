package gateway.access

# METADATA
# title: The grounds on which the law lets personal information be handled
# custom:
#   clause: "1.3.4"
lawful_bases := {"consent", "contract", "legal_obligation", "public_information"}

# METADATA
# title: Data about no person needs no such ground; personal data has one that is agreed
# custom:
#   clause: "1.3.4"
met contains "NO_LAWFUL_BASIS" if about_no_person

met contains "NO_LAWFUL_BASIS" if input.agreement.lawful_basis in lawful_bases

# METADATA
# title: Personal data leaves under an impact assessment that is approved and not outdated
# custom:
#   clause: "1.3.4"
met contains "PIA_MISSING" if about_no_person

met contains "PIA_MISSING" if in_force(input.circumstances.assessment)

# METADATA
# title: The dataset is about no natural person
about_no_person if input.resource.kind == "market"

about_no_person if input.resource.kind == "product"
