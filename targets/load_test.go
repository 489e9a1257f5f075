package targets

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/captest/captest/internal/yamlfile"
)

func noEnv(string) string { return "" }

func TestLoadReference(t *testing.T) {
	got, err := Load("reference:before", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	want := &Target{
		Name: "reference", File: "reference.yaml (built-in)", Entry: "user", Profile: "before", Bundled: true, OverloadUsers: 50,
		Services: []Service{{Name: "user"}, {Name: "billing"}, {Name: "instance"}, {Name: "kill-bill"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	plain, err := Load("reference", noEnv)
	if err != nil || plain.Profile != "phase2" {
		t.Errorf("the default profile is %q (%v), want phase2", plain.Profile, err)
	}
	for _, name := range Builtins() {
		if _, ok := BuiltinFile(name); !ok {
			t.Errorf("built-in %s has no file", name)
		}
	}
	if _, ok := BuiltinFile("killbill"); ok {
		t.Error("a baseline passes for a target")
	}
}

const example = `
name: staging
allow: [127.0.0.1, 10.1.2.3, "10.2.0.0/16", staging.example, "::1"]
owner: "Ann <ann@example.org>"
entry: user
overload_users: 20
services:
  user:      {url: "http://127.0.0.1:8001/", health: /health, metrics: /metrics, restart: "./restart-user.sh", knobs: {hash_cost: {value: 12, command: "./set.sh hash_cost {{value}}"}, pool.kill-bill: {value: "20", command: "./set.sh pool {{value}}"}}}
  billing:   {url: "https://Staging.Example/api/v1/"}
  kill-bill: {url: '{{env "KB_URL" "http://127.0.0.1:8080"}}', kind: kill-bill, metrics: /1.0/metrics}
roles: {pool.in_use: acme_pool_used, pool.max: acme_pool_size}
`

func TestLoadFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "staging.yaml")
	if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(file, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	want := &Target{
		Name: "staging", File: file, Entry: "user", Owner: "Ann <ann@example.org>", OverloadUsers: 20,
		Allow: []netip.Prefix{
			netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.1.2.3/32"), netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("::1/128"),
		},
		AllowNames: []string{"staging.example"},
		Services: []Service{
			{Name: "user", URL: "http://127.0.0.1:8001", Health: "/health", Metrics: "/metrics", Restart: "./restart-user.sh", Knobs: []Knob{
				{Name: "hash_cost", Value: "12", Command: "./set.sh hash_cost {{value}}"}, {Name: "pool.kill-bill", Value: "20", Command: "./set.sh pool {{value}}"},
			}},
			{Name: "billing", URL: "https://staging.example/api/v1"},
			{Name: "kill-bill", URL: "http://127.0.0.1:8080", Kind: "kill-bill", Metrics: "/1.0/metrics"},
		},
		Roles: map[string]string{"pool.in_use": "acme_pool_used", "pool.max": "acme_pool_size"},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	env := func(name string) string { return map[string]string{"KB_URL": "http://127.0.0.1:9090"}[name] }
	if got, err := Load(file, env); err != nil || got.Services[2].URL != "http://127.0.0.1:9090" {
		t.Errorf("from the environment: %v, %v", got, err)
	}
}

func TestLoadURL(t *testing.T) {
	tests := []struct {
		spec string
		want Target
	}{
		{"http://127.0.0.1:8001", Target{Name: "127.0.0.1-8001", Entry: "target", Services: []Service{{Name: "target", URL: "http://127.0.0.1:8001"}}}},
		{"https://Staging.Example/api/", Target{Name: "staging.example", Entry: "target", Services: []Service{{Name: "target", URL: "https://staging.example/api"}}}},
		{"http://[::1]:80/a=b,c", Target{Name: "1--80", Entry: "target", Services: []Service{{Name: "target", URL: "http://[::1]:80/a=b,c"}}}},
		{"kill-bill=http://127.0.0.1:8080", Target{Name: "127.0.0.1-8080", Entry: "kill-bill", Services: []Service{{Name: "kill-bill", URL: "http://127.0.0.1:8080"}}}},
		{"user=http://127.0.0.1:1, instance=http://127.0.0.1:2/x", Target{Name: "127.0.0.1-1", Entry: "user", Services: []Service{
			{Name: "user", URL: "http://127.0.0.1:1"}, {Name: "instance", URL: "http://127.0.0.1:2/x"},
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.spec, func(t *testing.T) {
			got, err := Load(tt.spec, noEnv)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.File = "--target"
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadMistakenURLs(t *testing.T) {
	for spec, want := range map[string]string{
		"ftp://127.0.0.1":                           "begins with http:// or https://",
		"http://":                                   "no host",
		"http:///path":                              "no host",
		"http://127.0.0.1:0":                        "port is not from 1 to 65535",
		"http://127.0.0.1:70000":                    "port is not from 1 to 65535",
		"http://127.0.0.1:":                         "port is empty",
		"http://127.0.0.1:x":                        "not a URL",
		"http://127.0.0.1/?q=1":                     "no query and no fragment",
		"http://127.0.0.1/#":                        "no query and no fragment",
		"http://127.0.0.1/a b":                      "no spaces",
		"http://127.0.0.1/%zz":                      "not a URL",
		"http://127.1":                              "neither an address nor a name",
		"http://a_b..c":                             "neither an address nor a name",
		"http://root:hunter2@127.0.0.1":             "cannot carry a user or password",
		"http://hunter2@127.0.0.1":                  "cannot carry a user or password",
		"http://root:hunter2@127.0.0.1:x":           "not a URL",
		"x=http://root:hunter2@127.0.0.1":           "cannot carry a user or password",
		"user=http://127.0.0.1,http://127.0.0.1":    "NAME=URL",
		"user=http://127.0.0.1,user=http://127.0.0": "neither an address nor a name",
		"user=http://127.0.0.1,user=http://[::1]":   `service "user" appears twice`,
	} {
		_, err := Load(spec, noEnv)
		var bad *URLError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) || bad.Hint() == "" {
			t.Errorf("%s: %v, want %s", spec, err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a password is printed: %v", spec, err)
		}
	}
}

func TestLoadNames(t *testing.T) {
	for spec, want := range map[string]string{
		"refrence":        `no target or file "refrence" (did you mean "reference"?)`,
		"refrence:before": `no target or file "refrence:before" (did you mean "reference"?)`,
		"none.yaml":       `no target or file "none.yaml"`,
		"":                `no target or file ""`,
		"killbill":        `no target or file "killbill"`,
	} {
		_, err := Load(spec, noEnv)
		var missing *NotFoundError
		if !errors.As(err, &missing) || err.Error() != want || missing.Hint() == "" {
			t.Errorf("%q: %v, want %s", spec, err, want)
		}
	}
	for _, spec := range []string{"reference:", "reference:a b", "reference:../x"} {
		var bad *ProfileError
		if _, err := Load(spec, noEnv); !errors.As(err, &bad) || bad.Hint() == "" {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	const local = "name: x\nservices: {a: {url: 'http://127.0.0.1:1'}}\n"
	tests := []struct{ name, text, want string }{
		{"nothing needed", "owner: a\n", "1:1: field \"name\" is missing\n1:1: field \"services\" is missing"},
		{"unknown field", local + "entyr: a\n", `3:1: unknown field "entyr" (did you mean "entry"?)`},
		{"bad name", "name: a/b\nservices: {a: {url: 'http://127.0.0.1:1'}}\n", `1:7: "a/b" is not a name: letters, digits, _ and -, starting with a letter`},
		{"no services", "name: x\nservices: {}\n", "2:11: a target has at least one service"},
		{"service without URL", "name: x\nservices: {a: {health: /}}\n", `2:15: field "url" is missing`},
		{"service not fields", "name: x\nservices: {a: http://127.0.0.1}\n", "2:15: must be fields (name: …), not text"},
		{"service name", "name: x\nservices: {'a b': {url: 'http://127.0.0.1:1'}}\n", `2:12: "a b" is not a name: letters, digits, _ and -, starting with a letter`},
		{"service twice", "name: x\nservices:\n  a: {url: 'http://127.0.0.1:1'}\n  a: {url: 'http://127.0.0.1:2'}\n", `4:3: field "a" appears twice; first on line 3`},
		{"misspelt service field", "name: x\nservices: {a: {ulr: 'http://127.0.0.1:1'}}\n", "2:15: field \"url\" is missing\n2:16: unknown field \"ulr\" (did you mean \"url\"?)"},
		{"bad URL", "name: x\nservices: {a: {url: 127.0.0.1}}\n", "2:21: a URL here begins with http:// or https://"},
		{"kind", "name: x\nservices: {a: {url: 'http://127.0.0.1:1', kind: killbill}}\n", `2:49: unknown value "killbill" (did you mean "kill-bill"?)`},
		{"health", "name: x\nservices: {a: {url: 'http://127.0.0.1:1', health: health}}\n", `2:51: health is a path and must start with "/"`},
		{"metrics", "name: x\nservices: {a: {url: 'http://127.0.0.1:1', metrics: '/a b'}}\n", "2:52: a path has no spaces, control characters or #; percent-encode them"},
		{"restart", "name: x\nservices: {a: {url: 'http://127.0.0.1:1', restart: ' '}}\n", "2:52: name the command that restarts the service"},
		{"knob", "name: x\nservices: {a: {url: 'http://127.0.0.1:1', knobs: {worker: {value: 1, command: 'x {{value}}'}}}}\n", `2:51: unknown knob "worker" (did you mean "workers"?)`},
		{"knob of no downstream", "name: x\nservices: {a: {url: 'http://127.0.0.1:1', knobs: {pool.: {value: 1, command: 'x {{value}}'}}}}\n", "2:51: name the downstream after the dot"},
		{"knob without value", "name: x\nservices: {a: {url: 'http://127.0.0.1:1', knobs: {workers: {command: 'x {{value}}'}}}}\n", `2:60: field "value" is missing`},
		{"knob without command", "name: x\nservices: {a: {url: 'http://127.0.0.1:1', knobs: {workers: {value: 1}}}}\n", `2:60: field "command" is missing`},
		{"knob that forgets its value", "name: x\nservices: {a: {url: 'http://127.0.0.1:1', knobs: {workers: {value: 1, command: ./set.sh}}}}\n", "2:80: the command does not say where the value goes: write {{value}} where it stands"},
		{"knob that is a command", "name: x\nservices: {a: {url: 'http://127.0.0.1:1', knobs: {workers: {value: '1; rm', command: 'x {{value}}'}}}}\n", `2:68: "1; rm" is no value to change: letters, digits, and . _ + - only, such as 4 or 200ms`},
		{"knob with more", "name: x\nservices: {a: {url: 'http://127.0.0.1:1', knobs: {workers: {value: 1, command: 'x {{value}}', unit: s}}}}\n", `2:95: unknown field "unit"`},
		{"no entry", "name: x\nservices: {a: {url: 'http://127.0.0.1:1'}, b: {url: 'http://127.0.0.1:2'}}\n", `1:1: field "entry" is missing: which of the services a step goes to that names none`},
		{"unknown entry", local + "entry: b\n", `3:8: unknown service "b"; there is a`},
		{"allow", local + "allow: [10.0.0]\n", "3:9: 10.0.0: not an address and not a host name"},
		{"allow everything", local + "owner: me\nallow: 0.0.0.0/0\n", "4:8: 0.0.0.0/0: allows every address there is; name the ones you mean"},
		{"allow without owner", local + "allow: [10.0.0.1]\n", `3:1: load may leave this machine, so the file must say who answers for it: owner: "name <mail>"`},
		{"allow a name without owner", local + "allow: staging\n", `3:1: load may leave this machine, so the file must say who answers for it: owner: "name <mail>"`},
		{"allow more than loopback", local + "allow: 127.0.0.0/7\n", `3:1: load may leave this machine, so the file must say who answers for it: owner: "name <mail>"`},
		{"empty owner", local + "allow: 10.0.0.1\nowner: ' '\n", "4:8: name who answers for the load"},
		{"role", local + "roles: {pool.inuse: x}\n", `3:9: unknown role "pool.inuse" (did you mean "pool.in_use"?)`},
		{"role of nothing", local + "roles: {retries: ''}\n", "3:18: name a metric"},
		{"store of a stranger", local + "store: sqlite\n", "3:1: store belongs to the bundled services (bundled: true)"},
		{"profile of a stranger", local + "profile: before\nset: {user.hash: loop}\n", "3:1: profile belongs to the bundled services (bundled: true)\n4:1: set belongs to the bundled services (bundled: true)"},
		{
			"bundled with an address", "name: x\nbundled: true\nservices: {user: {url: 'http://127.0.0.1:1', health: /}}\n",
			"3:19: the bundled services choose their own addresses\n3:46: captest knows this of the bundled services itself",
		},
		{"bundled stranger", "name: x\nbundled: true\nservices: {usr: {}}\n", `3:12: unknown bundled service "usr" (did you mean "user"?)`},
		{"overload", local + "overload_users: -1\n", "3:17: must be from 0 to 100000, not -1"},
		{"environment", "name: x\nservices: {a: {url: '{{env \"URL\"}}'}}\n", "2:21: environment variable URL is not set, and there is no default"},
		{"other templates", "name: x\nservices: {a: {url: 'http://{{host}}'}}\n", `2:21: only {{env "NAME"}} or {{env "NAME" "default"}} can be filled in here`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f", []byte(tt.text), noEnv)
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

func TestNoOwnerIsNeededForThisMachine(t *testing.T) {
	text := "name: x\nallow: [127.0.0.0/8, localhost, '::1', '::ffff:127.0.0.1']\nservices: {a: {url: 'http://127.0.0.1:1'}}\n"
	if _, err := Parse("f", []byte(text), nil); err != nil {
		t.Error(err)
	}
}

func TestFilesDoNotPrintCredentials(t *testing.T) {
	for _, text := range []string{
		"name: x\nservices: {a: {url: 'http://root:hunter2@127.0.0.1:1', heath: /}}\n",
		"name: x\nservices: {a: {url: 'http://root:hunter2@127.0.0.1:x'}}\n",
		"name: x\nservices: {a: {url: 'http://root:hunter2@127.0.0.1:x'}\n",
		"name: x\nentry: 'http://root:hunter2@h'\nservices: {a: {url: '{{env \"U\"}}'}}\n",
	} {
		_, err := Parse("f", []byte(text), func(string) string { return "http://root:hunter2@127.0.0.1" })
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

func TestCheckServices(t *testing.T) {
	file := &Target{Name: "staging", File: "staging.yaml", Entry: "user", Services: []Service{{Name: "user"}, {Name: "billing"}}}
	if err := file.CheckServices([]string{"", "user", "billing"}); err != nil {
		t.Error(err)
	}
	err := file.CheckServices([]string{"biling", "kill-bill", "biling"})
	var missing *NoServiceError
	if !errors.As(err, &missing) {
		t.Fatalf("%T %v", err, err)
	}
	if want := `target staging has no service "biling" (did you mean "billing"?), "kill-bill"; it has user, billing`; err.Error() != want {
		t.Errorf("got %s\nwant %s", err, want)
	}
	if want := `add it under services: in staging.yaml: biling: {url: "http://…"}`; missing.Hint() != want {
		t.Errorf("hint %s", missing.Hint())
	}
	bare, err := Load("http://127.0.0.1:8001", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	err = bare.CheckServices([]string{"kill-bill"})
	if !errors.As(err, &missing) || missing.Hint() != "name it: --target kill-bill=http://127.0.0.1:8080 (several with commas between)" {
		t.Errorf("%v, hint %s", err, missing.Hint())
	}
}

func TestKillbillBaseline(t *testing.T) {
	b, err := LoadBaseline("killbill")
	if err != nil {
		t.Fatal(err)
	}
	if b.Name != "killbill" || b.Service != "kill-bill" || b.PerSecond != 133 || b.MeanMs != 200 {
		t.Errorf("%+v", b)
	}
	if b.Provenance != "as quoted by the incident report, not independently confirmed" {
		t.Errorf("provenance %q", b.Provenance)
	}
	if notes := strings.Join(b.Notes, "\n"); !strings.Contains(notes, "26.6 in flight") || !strings.Contains(notes, "never a gate") {
		t.Errorf("notes %q", b.Notes)
	}
	var missing *NotFoundError
	if _, err := LoadBaseline("kilbill"); !errors.As(err, &missing) || err.Error() != `no baseline "kilbill" (did you mean "killbill"?)` {
		t.Errorf("%v", err)
	}
}

func TestBaselineMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"name: x\n": "1:1: field \"provenance\" is missing",
		"name: x\nprovenance: ' '\nservice: s\nclaimed: {per_second: 1, mean_ms: 1}\n":           "2:13: say where the figures come from",
		"name: x\nprovenance: p\nservice: s\nclaimed: {per_second: 0, mean_ms: 1}\n":             "4:23: must be more than 0 and at most 1e+09, not 0",
		"name: x\nprovenance: p\nservice: s\nclaimed: {per_second: 1, mean_ms: 1, p95: 1}\n":     "4:38: unknown field \"p95\"",
		"name: x\nprovenance: p\nservice: s\nclaimed: {per_second: 1, mean_ms: 1}\nnotes: [1]\n": "5:9: must be text; quote it: \"1\"",
	} {
		if _, err := ParseBaseline("f", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "f:"+want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Builtins() {
		data, _ := BuiltinFile(name)
		f.Add(data)
	}
	f.Add([]byte(example))
	f.Add([]byte("name: x\nallow: ['::ffff:1.2.3.4/97', '[::1]', 'a..b', 10.0.0.0/8]\nservices: {a: {url: 'http://u:p@h'}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		target, err := Parse("f", data, func(string) string { return "http://127.0.0.1" })
		if err != nil {
			var all *yamlfile.Errors
			if !errors.As(err, &all) || len(all.List) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if _, ok := target.Find(""); !ok || target.Name == "" {
			t.Fatalf("accepted without a name or an entry: %q", data)
		}
		g := &Guard{Allow: target.Allow}
		if g.Allowed(netip.IPv4Unspecified()) || g.Allowed(netip.IPv6Unspecified()) {
			t.Fatalf("an unspecified address is allowed: %q", data)
		}
		if target.Owner == "" && (g.Allowed(netip.MustParseAddr("192.0.2.1")) || g.Allowed(netip.MustParseAddr("2001:db8::1"))) {
			t.Fatalf("load may leave this machine and nobody answers for it: %q", data)
		}
	})
}
