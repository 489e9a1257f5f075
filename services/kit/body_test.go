package kit

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

func TestBodiesAreReadStrictly(t *testing.T) {
	s := serveApp(t, Knobs{}, map[string]Handler{
		"POST /in": func(_ context.Context, r *Request) (Reply, error) {
			var in struct {
				Name string `json:"name"`
				Age  int    `json:"age"`
			}
			return Reply{Status: 200}, r.Decode(&in)
		},
	})
	for _, c := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"as wanted", `{"name":"a","age":1}`, 200, ""},
		{"nothing", ``, 400, "not a JSON object"},
		{"not JSON", `{"name":`, 400, "not a JSON object"},
		{"an array", `[1]`, 400, "not a JSON object"},
		{"a field too many", `{"name":"a","nmae":"b"}`, 422, `"nmae":"unknown field"`},
		{"a wrong type", `{"age":"old"}`, 422, `"age":"is a string, want a number"`},
		{"two objects", `{"name":"a"}{"name":"b"}`, 400, "follows"},
		{"too long", `{"name":"` + strings.Repeat("x", bodyLimit) + `"}`, 413, "longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := send(t.Context(), "POST", s.url+"/in", c.body)
			if g.status != c.status || !strings.Contains(g.body, c.says) {
				t.Errorf("got %d %s, want %d with %q", g.status, g.body, c.status, c.says)
			}
		})
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", s.url+"/in", strings.NewReader("name=a"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a form: %d", resp.StatusCode)
	}
}

func TestFieldsCountCharactersAndRefuseWhatCannotBePrinted(t *testing.T) {
	for value, want := range map[string]string{
		"ab":        "",
		"äöüß":      "",
		"":          "is missing",
		"a":         "is too short: 1 characters, want at least 2",
		"abcde":     "is too long: 5 characters, want at most 4",
		"a\nb":      "has characters that cannot be printed",
		"a\x00b":    "has characters that cannot be printed",
		"a\xff\xfe": "has characters that cannot be printed",
	} {
		f := Fields{}
		f.Text("x", value, 2, 4)
		if f["x"] != want {
			t.Errorf("%q: %q, want %q", value, f["x"], want)
		}
	}
}
