package gateway.access

# METADATA
# title: No field that leaves is graded above the reader's clearance, and none is important or core data
# custom:
#   clause: "4.1.3"
met contains "CLEARANCE" if {
	every field in released {
		input.resource.grades[field] <= input.subject.clearance
		input.resource.grades[field] <= highest_shareable_grade
	}
}

# METADATA
# title: Grades 5 (important) and 6 (core) are never shared, whoever is cleared for what
highest_shareable_grade := 4
