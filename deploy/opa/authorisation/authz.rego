# What may be asked of the OPA server: decisions by the bearer of the token, health by anyone, nothing else.
package system.authz

default allow := false

allow if {
	input.method == "GET"
	input.path == ["health"]
}

allow if {
	input.method == "POST"
	input.path[0] == "v1"
	input.path[1] == "data"
	input.path[2] == "gateway"
	input.identity == data.caller.token
}
