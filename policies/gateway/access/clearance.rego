package gateway.access

# METADATA
# title: No field that leaves is graded above the reader's clearance, and none is important or core data
# custom:
#   clause: "4.1.3"
requirement.CLEARANCE.met if {
	every grade in released_grades {
		grade <= subject.clearance
		grade <= highest_shareable_grade
	}
}

# METADATA
# title: The different grades of the fields that leave; each field has one (case.rego)
released_grades := {grade |
	grades_of_fields := resource.grades
	some field in released
	grade := grades_of_fields[field]
}

# METADATA
# title: Grades 5 (important) and 6 (core) are never shared, whoever is cleared for what
highest_shareable_grade := 4
