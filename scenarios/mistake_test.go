package scenarios

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/captest/captest/internal/yamlfile"
)

// step wraps the rest of a step whose request is not what is tested; line 5 is the first of rest.
const stepHead = "name: x\nsteps:\n  - name: a\n    request: {path: /}\n"

// request wraps the rest of a request; line 6 is the first of rest.
const requestHead = "name: x\nsteps:\n  - name: a\n    request:\n      path: /\n"

// loads wraps a load on line 2, whose value begins in column 7.
const (
	loadHead = "name: x\nload: "
	loadTail = "\nsteps: [{name: a, request: {path: /}}]\n"
)

func TestMistakes(t *testing.T) {
	tests := []struct{ name, text, want string }{
		// The whole.
		{"empty", "", "1:1: the file is empty"},
		{"nothing needed", "description: x\n", "1:1: field \"name\" is missing\n1:1: field \"steps\" is missing"},
		{"unknown field", stepHead + "duraton: 5\n", `5:1: unknown field "duraton"; there is description, data, rows, setup, direct, limits, baseline, load`},
		{"misspelt field", stepHead + "limit: [errors<1%]\n", `5:1: unknown field "limit" (did you mean "limits"?)`},
		{"bad name", "name: a b\nsteps: [{name: a, request: {path: /}}]\n", `1:7: "a b" is not a name: letters, digits, _ and -, starting with a letter`},
		{"no steps", "name: x\nsteps: []\n", "2:8: the list is empty"},
		{"steps not a list", "name: x\nsteps: {a: 1}\n", "2:8: must be a list, not fields"},
		{"baseline", stepHead + "baseline: a/b\n", `5:11: "a/b" is not a name: letters, digits, _ and -, starting with a letter`},

		// Steps.
		{"no name and no request", "name: x\nsteps: [{think: 1s}]\n", "2:9: field \"name\" is missing\n2:9: field \"request\" is missing"},
		{"dot in a step's name", "name: x\nsteps: [{name: a.b, request: {path: /}}]\n", `2:16: "a.b" is not a name: letters, digits, _ and -, starting with a letter`},
		{"duplicate step", stepHead + "  - name: a\n    request: {path: /}\n", `5:11: step "a" appears twice`},
		{"step named like one of setup", "name: x\nsetup: [{name: a, request: {path: /}}]\nsteps: [{name: a, request: {path: /}}]\n", `3:16: step "a" appears twice`},
		{"misspelt step field", stepHead + "    timout: 1s\n", `5:5: unknown field "timout" (did you mean "timeout"?)`},
		{"think without unit", stepHead + "    think: 5\n", "5:12: needs a unit: 5s or 5ms"},
		{"timeouts of nothing", stepHead + "    timeouts: {}\n", "5:15: timeouts needs connect, first_byte or both: {connect: 2s, first_byte: 5s}"},
		{"misspelt part", stepHead + "    timeouts: {firstbyte: 1s, connect: 1s}\n", `5:16: unknown field "firstbyte" (did you mean "first_byte"?)`},
		{"part beyond the whole", stepHead + "    timeout: 2s\n    timeouts: {connect: 2s}\n", "6:16: 2s is not shorter than the step's timeout of 2s, which would always come first"},
		{"part beyond the usual whole", stepHead + "    timeouts: {first_byte: 31s}\n", "5:16: 31s is not shorter than the step's timeout of 30s, which would always come first"},
		{"no time to connect", stepHead + "    timeouts: {connect: 0s}\n", "5:25: must be from 1ms to 10m0s, not 0s"},
		{"no time to answer", stepHead + "    timeout: 0s\n", "5:14: must be from 1ms to 10m0s, not 0s"},
		{"weight", stepHead + "    weight: 0\n", "5:13: must be more than 0 and at most 1e+06, not 0"},
		{
			"weights apart", "name: x\nsteps:\n  - {name: a, weight: 1, request: {path: /}}\n  - {name: b, request: {path: /}}\n  - {name: c, weight: 1, request: {path: /}}\n",
			"5:15: steps with a weight are alternatives and must stand together",
		},
		{
			"weight in setup", "name: x\nsetup: [{name: s, weight: 1, request: {path: /}}]\nsteps: [{name: a, request: {path: /}}]\n",
			"2:19: setup has no alternatives; every setup step is sent",
		},
		{"service", stepHead + "    service: 'a b'\n", `5:14: "a b" is not a name: letters, digits, _ and -, starting with a letter`},

		// Requests.
		{"method", requestHead + "      method: post\n", `6:15: unknown value "post" (did you mean "POST"?)`},
		{"no path", "name: x\nsteps: [{name: a, request: {method: GET}}]\n", `2:28: field "path" is missing`},
		{"path without slash", "name: x\nsteps: [{name: a, request: {path: auth}}]\n", `2:35: path must start with "/"`},
		{"path is a number", "name: x\nsteps: [{name: a, request: {path: '{{n}}'}}]\n", `2:35: path must start with "/"`},
		{"empty path", "name: x\nsteps: [{name: a, request: {path: ''}}]\n", `2:35: path must start with "/"`},
		{"path is a URL", "name: x\nsteps: [{name: a, request: {path: 'http://h/x'}}]\n", `2:35: path must start with "/"; the address belongs into the target`},
		{"space in a path", "name: x\nsteps: [{name: a, request: {path: '/a b'}}]\n", `2:38: ' ' cannot stand in a path; percent-encode it`},
		{"fragment in a path", "name: x\nsteps: [{name: a, request: {path: '/a#b'}}]\n", `2:38: '#' cannot stand in a path; percent-encode it`},
		{"two bodies", requestHead + "      json: {a: 1}\n      body: x\n", "7:7: a request has one body; json is there already"},
		{
			"three bodies", requestHead + "      body: x\n      form: {a: 1}\n      json: 1\n",
			"6:7: a request has one body; json is there already\n7:7: a request has one body; json is there already",
		},
		{
			"basic", requestHead + "      basic: {user: u, pasword: p}\n",
			"6:14: field \"password\" is missing\n6:24: unknown field \"pasword\" (did you mean \"password\"?)",
		},
		{
			"basic and header", requestHead + "      basic: {user: u, password: p}\n      headers: {authorization: x}\n",
			"6:7: basic and an Authorization header contradict each other",
		},
		{"header name", requestHead + "      headers: {'X Y': a}\n", `6:17: "X Y" is not a header name`},
		{"own header", requestHead + "      headers: {content-length: 3}\n", "6:17: header Content-Length is set by captest itself"},
		{"header twice", requestHead + "      headers: {X-A: 1, x-a: 2}\n", "6:25: header X-A appears twice"},
		{"header injection", requestHead + "      headers: {X-A: \"a\\r\\nX-B: b\"}\n", "6:22: a header value cannot have line breaks or other control characters"},
		{"json as text", requestHead + "      json: '{\"a\": 1}'\n", "6:13: json is written as YAML fields, not as a text; use body for a text"},
		{
			"number JSON lacks", requestHead + "      json: {a: 0x1F, b: .inf}\n",
			"6:17: 0x1F is not a number in JSON; write it in decimal, or quote it\n6:26: .inf is not a number in JSON; write it in decimal, or quote it",
		},
		{"template in a JSON name", requestHead + "      json: {'{{n}}': 1}\n", "6:14: templates stand in values, not in names"},
		{"unquoted template", requestHead + "      json: {a: {{n}}}\n", `6:17: a template must be quoted: "{{name}}"`},

		// Templates.
		{"open braces", requestHead + "      body: 'ab {{n'\n", "6:17: {{ without }}"},
		{"empty braces", requestHead + "      body: '{{ }}'\n", "6:14: nothing between {{ and }}"},
		{"unknown variable", "name: x\ndata: {email: a}\nsteps: [{name: a, request: {path: '/{{emial}}'}}]\n", `3:37: unknown field "emial" (did you mean "email"?)`},
		{"used before captured", "name: x\nsteps:\n  - {name: a, request: {path: '/{{id}}'}, capture: {id: json.id}}\n", `3:33: "id" is used before it is captured (step a captures it)`},
		{
			"captured by an alternative only",
			"name: x\nsteps:\n  - {name: a, weight: 1, request: {path: /}, capture: {id: json.id}}\n  - {name: b, weight: 1, request: {path: /}}\n  - {name: c, request: {path: '/{{id}}'}}\n",
			`5:33: "id" is not captured when a journey takes step b`,
		},
		{"data uses a later field", "name: x\ndata: {a: '{{b}}', b: 1}\nsteps: [{name: a, request: {path: /}}]\n", `2:12: data field "b" is made later; a field may use those above it`},
		{"data uses itself", "name: x\ndata: {a: '{{a}}'}\nsteps: [{name: a, request: {path: /}}]\n", `2:12: data field "a" is made later; a field may use those above it`},
		{
			"setup uses its own capture", "name: x\nsetup: [{name: s, request: {path: '/{{id}}'}, capture: {id: json.id}}]\nsteps: [{name: a, request: {path: /}}]\n",
			`2:37: "id" is used before it is captured (step s captures it)`,
		},
		{
			"alternatives do not see each other",
			"name: x\nsteps:\n  - {name: a, weight: 1, request: {path: /}, capture: {id: json.id}}\n  - {name: b, weight: 1, request: {path: '/{{id}}'}}\n",
			`4:44: "id" is used before it is captured (step a captures it)`,
		},
		{"data uses a capture", "name: x\ndata: {a: 'x{{id}}'}\nsteps: [{name: a, request: {path: /}, capture: {id: json.id}}]\n", `2:13: "id" is captured by step a, after the data is made`},
		{"inside JSON", requestHead + "      json: {a: [1, \"x {{nope}}\"]}\n", `6:24: unknown field "nope"; there is n, user, unique`},
		{"unknown function", requestHead + "      body: '{{rnadom 3}}'\n", `6:16: unknown function "rnadom" (did you mean "random"?)`},
		{"random without a bound", requestHead + "      body: '{{random}}'\n", "6:16: random takes one whole number: {{random 1000}}"},
		{"random of nothing", requestHead + "      body: '{{random 0}}'\n", `6:23: random takes a whole number from 1 to 9223372036854775808, not "0"`},
		{"hex too long", requestHead + "      body: '{{random.hex 5000}}'\n", `6:27: random.hex takes a whole number from 1 to 1024, not "5000"`},
		{"env unquoted", requestHead + "      body: '{{env TOKEN}}'\n", `6:20: quote it: "TOKEN"`},
		{"env without a name", requestHead + "      body: '{{env}}'\n", `6:16: env takes a name and perhaps a default: {{env "NAME"}} or {{env "NAME" "default"}}`},
		{"row without rows", requestHead + "      body: '{{row.email}}'\n", "6:14: {{row.email}} needs rows: a CSV file"},
		{"data named like a built-in field", "name: x\ndata: {n: 1}\nsteps: [{name: a, request: {path: /}}]\n", `2:8: "n" already means something in templates; choose another name`},

		// Expectations and captures.
		{"status", stepHead + "    expect: {status: 2000}\n", "5:22: must be from 100 to 599, not 2000"},
		{"status text", stepHead + "    expect: {status: [200, ok]}\n", `5:28: must be a whole number, not "ok"`},
		{"status twice", stepHead + "    expect: {status: [200, 200]}\n", "5:28: status 200 appears twice"},
		{"json of nothing", stepHead + "    expect: {json: {}}\n", "5:20: there is nothing to compare with"},
		{"json a text", stepHead + "    expect: {json: ok}\n", "5:20: must be fields such as {success: true}"},
		{"json path", stepHead + "    expect: {json: {a..b: 1}}\n", `5:21: JSON path "a..b" has an empty part; write customer.id or items[0].id`},
		{"contains nothing", stepHead + "    expect: {contains: ''}\n", "5:24: every body contains an empty text"},
		{"misspelt expectation", stepHead + "    expect: {stauts: 200}\n", `5:14: unknown field "stauts" (did you mean "status"?)`},
		{"capture from nowhere", stepHead + "    capture: {id: body.id}\n", `5:19: "body.id" is not a place to capture from; write json.PATH, header.NAME or regex:EXPRESSION`},
		{"capture index", stepHead + "    capture: {id: 'json.a[x]'}\n", `5:19: JSON path "a[x]": an index is written [0]`},
		{"capture expression", stepHead + "    capture: {id: 'regex:(a'}\n", "5:19: regular expression: missing closing ): \"(a\""},
		{"capture groups", stepHead + "    capture: {id: 'regex:a(b)(c)'}\n", "5:19: the regular expression has 2 groups; the one (…) group is what is captured"},
		{"capture over data", "name: x\ndata: {id: 1}\nsteps: [{name: a, request: {path: /}, capture: {id: json.id}}]\n", `3:49: "id" is a data field already; choose another name`},

		// Limits.
		{"limit on an unknown step", stepHead + "limits: [regster.p95<1s]\n", `5:10: unknown step "regster"; there is a`},
		{"limit on a misspelt step", "name: x\nsteps: [{name: register, request: {path: /}}]\nlimits:\n  - regster.p95<1s\n", `4:5: unknown step "regster" (did you mean "register"?)`},
		{"limit on setup", "name: x\nsetup: [{name: s, request: {path: /}}]\nsteps: [{name: a, request: {path: /}}]\nlimits: s.p95<1s\n", `4:9: unknown step "s"; there is a`},
		{"limit grammar", stepHead + "limits: [\"errors<1%\", \"p95 = 1s\"]\n", `5:28: "=" is not a comparison for a limit; use <, <=, > or >=`},
		{"limit metric", stepHead + "limits: [a.erors<1%]\n", `5:12: unknown metric "erors" (did you mean "errors"?)`},

		// Loads.
		{"load of nothing", loadHead + "{}" + loadTail, "2:7: load needs users, rate or stages"},
		{"users for how long", loadHead + "{users: 5}" + loadTail, "2:7: users need how many journeys or how long: {users: 20, total: 100} or {users: 20, for: 1m}"},
		{"total and for", loadHead + "{users: 5, total: 10, for: 1m}" + loadTail, "2:29: total and for contradict each other"},
		{"users and rate", loadHead + "{users: 5, rate: 5/s, for: 1m}" + loadTail, "2:8: rate and users contradict each other"},
		{"rate for how long", loadHead + "{rate: 5/s}" + loadTail, "2:7: a rate needs how long: {rate: 50/s, for: 1m}"},
		{"rate without unit", loadHead + "{rate: 50, for: 1m}" + loadTail, "2:14: needs a unit: 50/s or 50/min"},
		{"rate of nothing", loadHead + "{rate: 0/s, for: 1m}" + loadTail, "2:14: a rate of 0 sends nothing"},
		{"impossible rate", loadHead + "{rate: 9999999999/s, for: 1m}" + loadTail, `2:14: rate "9999999999/s" is not between 0 and 1000000/s`},
		{"not a rate", loadHead + "{rate: fast, for: 1m}" + loadTail, `2:14: "fast" is not a rate: write 50/s or 600/min`},
		{"impossible time", loadHead + "{rate: 5/s, for: 0s}" + loadTail, "2:24: must be from 100ms to 168h0m0s, not 0s"},
		{"arrivals", loadHead + "{rate: 5/s, for: 1m, arrivals: posson}" + loadTail, `2:38: unknown value "posson" (did you mean "poisson"?)`},
		{"arrivals of users", loadHead + "{users: 5, for: 1m, arrivals: poisson}" + loadTail, "2:27: arrivals belong to a rate; users send when they are free"},
		{"too few journeys", loadHead + "{users: 5, total: 3}" + loadTail, "2:18: 3 journeys are too few for 5 users"},
		{"no users", loadHead + "{users: 0, for: 1m}" + loadTail, "2:15: must be from 1 to 100000, not 0"},
		{"stages and users", loadHead + "{stages: [{users: 5, for: 1m}], users: 5}" + loadTail, "2:39: stages and users contradict each other"},
		{"mixed stages", loadHead + "{stages: [{users: 5, for: 1m}, {rate: 5/s, for: 1m}]}" + loadTail, "2:38: stages count users or set a rate, not both by turns"},
		{"stage of both", loadHead + "{stages: [{users: 5, rate: 5/s, for: 1m}]}" + loadTail, "2:17: a stage has users or a rate: {users: 20, for: 30s} or {rate: 50/s, for: 30s}"},
		{"stage without time", loadHead + "{stages: [{users: 5}]}" + loadTail, `2:17: field "for" is missing`},
		{"stages of nothing", loadHead + "{stages: [{users: 0, for: 1m}]}" + loadTail, "2:16: no stage sends anything"},
		{"no stages", loadHead + "{stages: []}" + loadTail, "2:16: stages are 1 to 1000"},

		// All at once.
		{
			"several", "name: x\ndata: {email: a}\nsteps:\n  - name: a\n    request: {method: PSOT, path: /, jsn: {a: 1}}\n    expect: {status: 99}\nlimits: [b.p95<1s]\n",
			"5:23: unknown value \"PSOT\" (did you mean \"POST\"?)\n5:38: unknown field \"jsn\" (did you mean \"json\"?)\n6:22: must be from 100 to 599, not 99\n7:10: unknown step \"b\"; there is a",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f", []byte(tt.text))
			var all *yamlfile.Errors
			if !errors.As(err, &all) {
				t.Fatalf("error is %T (%v), want *yamlfile.Errors", err, err)
			}
			var got []string
			for _, e := range all.List {
				got = append(got, strings.TrimPrefix(e.Error(), "f:"))
			}
			if g := strings.Join(got, "\n"); g != tt.want {
				t.Errorf("\n got %s\nwant %s", g, tt.want)
			}
		})
	}
}

func TestRowsMistakes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good.csv", "email,password\na@x,1\nb@x,2\n")
	write("short.csv", "email,password\na@x\n")
	scenario := func(rows, body string) []byte {
		return []byte("name: x\nrows: " + rows + "\nsteps: [{name: a, request: {path: /, body: '" + body + "'}}]\n")
	}
	file := filepath.Join(dir, "s.yaml")

	s, err := Parse(file, scenario("good.csv", "{{row.email}}"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Table.Len() != 2 || s.Table.Row(2)["email"] != "a@x" || s.Table.Row(1)["password"] != "2" {
		t.Errorf("table %+v", s.Table)
	}
	for _, tt := range []struct{ rows, body, want string }{
		{"good.csv", "{{row.emial}}", `s.yaml:3:45: unknown column "emial" (did you mean "email"?)`},
		{"none.csv", "{{row.email}}", "s.yaml:2:7: " + dir + "/none.csv: no such file"},
		{"short.csv", "x", "s.yaml:2:7: " + dir + "/short.csv:2:1: not as many values as the first line has columns"},
		{".", "x", "s.yaml:2:7: " + dir + ": is not a regular file"},
		{"''", "x", "s.yaml:2:7: rows names a CSV file, such as rows: users.csv"},
	} {
		_, err := Parse(file, scenario(tt.rows, tt.body))
		var all *yamlfile.Errors
		if !errors.As(err, &all) || len(all.List) != 1 || !strings.HasSuffix(all.List[0].Error(), tt.want) {
			t.Errorf("rows %s, body %s:\n got %v\nwant %s", tt.rows, tt.body, err, tt.want)
		}
	}
}

func TestLoadNames(t *testing.T) {
	_, err := Load("registraton")
	var missing *NotFoundError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), `did you mean "registration"?`) || missing.Hint() == "" {
		t.Errorf("error %v", err)
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("a folder: %v", err)
	}
	file := filepath.Join(t.TempDir(), "s.yaml")
	data, _ := BuiltinFile("login")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Load(file); err != nil || s.Name != "login" || s.File != file {
		t.Errorf("a copied built-in: %v", err)
	}
}
