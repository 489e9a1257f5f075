package scenarios

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/captest/captest/internal/yamlfile"
)

func noFiles(name string) ([]byte, error) {
	if name == "body.bin" {
		return []byte("{{not a template}}\x00\xff"), nil
	}
	return nil, fmt.Errorf("open %s: %w", name, os.ErrNotExist)
}

const vegetaMixed = `
# what a shop's front page does
GET http://127.0.0.1:8001/
GET http://127.0.0.1:8001/
POST http://127.0.0.1:8001/cart?x={{n}}
content-type: application/json
Host: shop.test
@body.bin
GET HTTP://127.0.0.1:8001/item/%20a?q=1&r=a:b
# a comment between
Accept: */*

DELETE http://127.0.0.1:8001
`

// built gives what a scenario would send for journeys 0, 1, …: its rows in turn, or each alternative as often as its weight says.
func built(t testing.TB, s *Scenario, n int) []vegeta.Target {
	t.Helper()
	var list []vegeta.Target
	for i := range n {
		step, values := &s.Steps[0], &Values{N: uint64(i)}
		if s.Table != nil {
			values.Row = s.Table.Row(uint64(i))
		} else {
			at := float64(i)
			for k := 0; at >= step.Weight && step.Weight > 0; k++ {
				at -= s.Steps[k].Weight
				if at >= 0 {
					step = &s.Steps[k+1]
				} else {
					break
				}
			}
		}
		fill := func(tpl *Template) string {
			if tpl == nil {
				return ""
			}
			text, err := tpl.Append(nil, values)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		q := &step.Request
		target := vegeta.Target{Method: q.Method, URL: s.Origin + fill(q.Path), Header: http.Header{}}
		if body := fill(q.Body); body != "" {
			target.Body = []byte(body)
		}
		for _, h := range q.Headers {
			target.Header.Set(h.Name, fill(h.Value))
		}
		list = append(list, target)
	}
	return list
}

func TestVegetaTargetsOfSeveralFormsAreAlternatives(t *testing.T) {
	s, err := parseVegeta("dir/front page.txt", []byte(vegetaMixed), noFiles)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range s.Steps {
		names = append(names, fmt.Sprintf("%s %g", x.Name, x.Weight))
	}
	if got, want := strings.Join(names, ", "), "get 2, post-cart 1, get-item-20a 1, delete 1"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	if s.Name != "front-page" || s.Origin != "http://127.0.0.1:8001" {
		t.Errorf("name %q, origin %q", s.Name, s.Origin)
	}
	post := built(t, s, 4)[2]
	want := vegeta.Target{
		Method: "POST", URL: "http://127.0.0.1:8001/cart?x={{n}}", Body: []byte("{{not a template}}\x00\xff"),
		Header: http.Header{"Content-Type": {"application/json"}, "Host": {"shop.test"}},
	}
	if !post.Equal(&want) {
		t.Errorf("%+v, want %+v", post, want)
	}
	if ok, _ := s.Steps[0].Expect.Check(http.StatusFound, nil, nil); ok != Expected {
		t.Error("302 is a success for vegeta")
	}
	if ok, detail := s.Steps[0].Expect.Check(http.StatusNotFound, nil, nil); ok != WrongStatus || detail != "status 404, want 200 to 399" {
		t.Errorf("404: %v, %s", ok, detail)
	}
}

func TestVegetaTargetsOfOneFormAreRows(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "PUT https://Stub.test:443/%d\nX-N: %d\n@body.bin\n", i, i)
	}
	s, err := parseVegeta("t.vegeta", []byte(b.String()), noFiles)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Steps) != 1 || s.Steps[0].Name != "put" || s.Steps[0].Weight != 0 || s.Table.Len() != 1000 || s.Origin != "https://stub.test" {
		t.Fatalf("%+v of %s", s.Steps, s.Origin)
	}
	all := built(t, s, 1001)
	if got := all[999]; got.URL != "https://stub.test/999" || got.Header.Get("X-N") != "999" || len(got.Body) != 20 {
		t.Errorf("%+v", got)
	}
	if got := all[1000].URL; got != "https://stub.test/0" {
		t.Errorf("after the last comes %s, want the first", got)
	}
}

// What vegeta reads and what we read must be the same requests, in the same order.
func TestVegetaReadsTheSameTargets(t *testing.T) {
	dir := t.TempDir()
	body := filepath.Join(dir, "b.json")
	if err := os.WriteFile(body, []byte(`{"a":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"bare":      "GET http://h.test/a\nGET http://h.test/b?x=1\n  GET http://h.test:80/c  \n",
		"headers":   "# c\n\n\nGET http://h.test/a\nAccept: a:b\n# c\n\nGET http://h.test/b\nAccept:c\n",
		"bodies":    "POST http://h.test/a\n@" + body + "\nPOST http://h.test/b\n@" + body + "\n\n# end\n",
		"crlf":      "GET http://h.test/a\r\nAccept: x\r\n\r\nGET http://h.test/b\r\nAccept: y\r\n",
		"json":      `{"method":"POST","url":"http://h.test/a","header":{"Content-Type":["x/y"]},"body":"Rk9P"}` + "\n\n" + ` {"body":"QkFS","header":{"Content-Type":["z"]},"url":"http://h.test/b","method":"POST"}` + "\n",
		"json bare": `{"method":"GET","url":"http://h.test/a"}` + "\n" + `{"url":"http://h.test/a?b","method":"GET","header":null,"body":""}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			targeter := vegeta.NewHTTPTargeter(strings.NewReader(text), nil, nil)
			if strings.HasPrefix(name, "json") {
				targeter = vegeta.NewJSONTargeter(strings.NewReader(text), nil, nil)
			}
			want, err := vegeta.ReadAllTargets(targeter)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Parse("t", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			got := built(t, s, len(want))
			for i := range want {
				want[i].URL = strings.Replace(want[i].URL, ":80/", "/", 1)
				if !got[i].Equal(&want[i]) {
					t.Errorf("%d: %+v, vegeta reads %+v", i, got[i], want[i])
				}
			}
		})
	}
}

func TestVegetaMistakesArePlaced(t *testing.T) {
	const ok = "GET http://h.test/\n"
	for want, text := range map[string]string{
		`3:1: "FETCH-IT http://h.test/" is not a request line`:  ok + "\nFETCH-IT http://h.test/\n",
		`3:1: "GET" is not a request line`:                      ok + "\nGET \n",
		`1:1: the URL must be absolute`:                         "GET /relative\n",
		`1:1: what follows GET is not a URL`:                    "GET http://[::1/\n",
		`1:1: the URL names no host`:                            "GET http://:80/\n",
		`1:1: a URL here cannot carry a user or password`:       "GET http://ann:secret@h.test/\n",
		`1:1: '#' cannot stand in a URL`:                        "GET http://h.test/#top\n",
		`1:1: ' ' cannot stand in a URL`:                        "GET http://h.test/a b\n",
		`1:1: the URL's port is not from 1 to 65535`:            "GET http://h.test:99999/\n",
		`1:1: "CONNECT" is not a method that can be sent`:       "CONNECT http://h.test/\n",
		`3:1: goes to https://h.test, but line 1 to http://h.t`: ok + "\nGET https://h.test/\n",
		`2:1: "nonsense" is not a header`:                       ok + "nonsense\n",
		`2:1: header Accept has no value`:                       ok + "accept:\n",
		`2:1: header Content-Length is set by captest itself`:   ok + "Content-Length: 3\n",
		`3:1: header A appears twice`:                           ok + "a: 1\nA: 2\n",
		`2:1: body: open none.json`:                             ok + "@none.json\n",
		`3:1: a header is expected: after headers an empty`:     ok + "A: 1\nGET http://h.test/b\n",
		`2:1: the object does not end`:                          `{"method":"GET","url":"http://h.test/"}` + "\n{\n",
		`1:1: "url" is missing`:                                 `{"method":"GET"}`,
		`1:1: "method" is missing`:                              `{"url":"http://h.test/"}`,
		`1:1: unknown field "bodi"`:                             `{"method":"GET","url":"http://h.test/","bodi":""}`,
		`1:1: "header" is a string where vegeta has`:            `{"method":"GET","url":"http://h.test/","header":"x"}`,
		`1:1: "body" is not base64`:                             `{"method":"GET","url":"http://h.test/","body":"%"}`,
		`1:1: more than one object`:                             `{"method":"GET","url":"http://h.test/"} {}`,
	} {
		if !isVegeta([]byte(text)) {
			t.Errorf("not taken for vegeta's: %q", text)
		}
		_, err := parseVegeta("t", []byte(text), noFiles)
		var all *yamlfile.Errors
		if !errors.As(err, &all) || !strings.HasPrefix(all.List[0].Error(), "t:"+want) {
			t.Errorf("%q: %v, want t:%s", text, err, want)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("a password in %v", err)
		}
	}
	_, err := parseVegeta("t", []byte("GET /a\nGET http://h.test/\nb\n\nGET nowhere\n"), noFiles)
	if all := (*yamlfile.Errors)(nil); !errors.As(err, &all) || len(all.List) != 3 {
		t.Errorf("%v; want all three mistakes", err)
	}
	var b strings.Builder
	for i := range 101 {
		fmt.Fprintf(&b, "GET http://h.test/%d\nPUT http://h.test/%d\n", i, i)
	}
	if _, err := parseVegeta("t", []byte(b.String()), noFiles); err == nil || !strings.Contains(err.Error(), "202 different requests of 2 forms") {
		t.Errorf("too many alternatives: %v", err)
	}
}

func TestScenariosAreNotTakenForVegetaTargets(t *testing.T) {
	for _, text := range []string{
		"", "# only a comment\n", "name: x\n", "NAME: x\n", `{"name": "x", "steps": [{"request": {"method": "GET"}}]}`, "{name: x}\n", "---\nname: x\n",
	} {
		if isVegeta([]byte(text)) {
			t.Errorf("taken for vegeta's: %q", text)
		}
	}
	for _, name := range Builtins() {
		if data, _ := BuiltinFile(name); isVegeta(data) {
			t.Errorf("built-in %s taken for vegeta's", name)
		}
	}
}

func TestABodyFileMustBeRegular(t *testing.T) {
	if _, err := openBody(t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
	if _, err := Parse("t", []byte("GET http://h.test/\n@/dev/zero\n")); err == nil || !strings.Contains(err.Error(), "t:2:1: body: /dev/zero is not a regular file") {
		t.Errorf("error %v", err)
	}
}

func FuzzVegetaTargets(f *testing.F) {
	f.Add([]byte(vegetaMixed))
	f.Add([]byte("GET http://h.test/a\nGET http://h.test/b?x={{n}}\n"))
	f.Add([]byte("POST https://[::1]:8443/a\r\nA: b\r\n@body.bin\r\nPOST https://[::1]:8443/b\nA: {{c}}\n@body.bin"))
	f.Add([]byte(`{"method":"POST","url":"http://h.test/a","header":{"Content-Type":["x/y"]},"body":"Rk9P"}` + "\n" + `{"method":"GET","url":"HTTP://H.test:80"}`))
	f.Add([]byte("\xef\xbb\xbf# c\n\nPURGE http://h.test?x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseVegeta("f", data, noFiles)
		if err != nil {
			var all *yamlfile.Errors
			if !errors.As(err, &all) || len(all.List) == 0 || all.Error() == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if !validName(s.Name) || s.Origin == "" || len(s.Steps) == 0 || len(s.Steps) > stepsMax {
			t.Fatalf("half a scenario: %+v", s)
		}
		var names []string
		weights := 0.0
		for _, x := range s.Steps {
			if !validName(x.Name) || slices.Contains(names, x.Name) || (x.Weight > 0) != (len(s.Steps) > 1) {
				t.Fatalf("step %+v", x)
			}
			names = append(names, x.Name)
			weights += x.Weight
		}
		n := max(1, int(weights))
		if s.Table != nil {
			n = s.Table.Len()
		}
		for _, target := range built(t, s, n) {
			if _, err := target.Request(); err != nil { // what is accepted can be sent
				t.Fatalf("%+v: %v", target, err)
			}
		}
	})
}
