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
requirement.NO_LAWFUL_BASIS.met if about_no_person

requirement.NO_LAWFUL_BASIS.met if agreement.lawful_basis in lawful_bases

# METADATA
# title: Personal data leaves under an impact assessment that is approved and not outdated
# custom:
#   clause: "1.3.4"
requirement.PIA_MISSING.met if about_no_person

requirement.PIA_MISSING.met if in_force(circumstances.assessment)

# METADATA
# title: The dataset is about no natural person
about_no_person if resource.kind == "market"

about_no_person if resource.kind == "product"
