package report

import (
	"bytes"
	"encoding/json"
	"html"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/internal/record"
)

func rendered(t *testing.T, run *record.Run, r *record.Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, run, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// block gives the text of a data element.
func block(t *testing.T, page, id string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, `<script type="application/json" id="`+id+`">`)
	if !ok {
		t.Fatalf("no %s in the page", id)
	}
	text, _, _ := strings.Cut(rest, "</script>")
	return text
}

// An hour of frames, scrapes and probes makes a page a browser opens at once, and one bad second of it is still to be seen.
func TestPageOfAnHour(t *testing.T) {
	m := newMaker(t, "fixed", "phase2")
	m.event(record.EventRun, -1, "", m.run.Info)
	m.event(record.EventTrialStart, 0, "", record.TrialStart{Phase: "fixed", Load: record.Load{Users: 8}})
	m.rest("preflight", 1, func(float64) bool { return true })
	for i := range 3600 {
		ms := 1066.0
		if i == 1801 {
			ms = 9000
		}
		m.second("fixed", 0, 8, false, topPerSecond, ms, i == 0)
	}
	m.rest("recovery", 600, func(at float64) bool { return int(at)%7 != 0 })
	_, r := nothing(t)
	page := rendered(t, m.run, r)
	if len(page) > 1<<20 {
		t.Errorf("the page has %d bytes", len(page))
	}
	var data struct {
		Charts []struct {
			ID string
			X  []float64
			Y  [][]*float64
		}
	}
	if err := json.Unmarshal([]byte(block(t, page, "captest-charts")), &data); err != nil {
		t.Fatal(err)
	}
	if len(data.Charts) < 8 {
		t.Fatalf("%d diagrams", len(data.Charts))
	}
	worst := 0.0
	for _, c := range data.Charts {
		if len(c.X) > pointsMax {
			t.Errorf("%s has %d points", c.ID, len(c.X))
		}
		for i, y := range c.Y {
			if len(y) != len(c.X) {
				t.Errorf("%s, series %d: %d values at %d instants", c.ID, i, len(y), len(c.X))
			}
			for _, v := range y {
				if c.ID == "latency" && v != nil {
					worst = max(worst, *v)
				}
			}
		}
	}
	if worst < 8000 {
		t.Errorf("the second of 9 s was thinned away: worst is %v ms", worst)
	}
	if !strings.Contains(page, "so peaks survive") {
		t.Error("the page does not say how it was thinned")
	}
}

func TestPageAsksForNothing(t *testing.T) {
	run, r := hostile(t)
	page := rendered(t, run, r)
	if !strings.Contains(page, `http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;;`) {
		t.Error("no policy that forbids everything else")
	}
	for _, m := range regexp.MustCompile(`(?i)<[^>]*\s(?:src|href|action|data|poster|srcset)\s*=\s*["']?([^"'>\s]*)`).FindAllStringSubmatch(page[:strings.Index(page, `id="captest-run"`)], -1) {
		if m[1] != "data:," && !strings.HasPrefix(m[1], "https://github.com/captest/captest/blob/main/docs/causes.md#") { // a link is followed by a person
			t.Errorf("the page names %q in %q", m[1], m[0])
		}
	}
	if n := strings.Count(page, "</script>"); n != 4 {
		t.Errorf("%d script elements end, want 4", n)
	}
	for _, c := range page {
		if c == 0x1b || c >= 0x80 && c <= 0x9f || c == 0x202e {
			t.Fatalf("control character %U in the page", c)
		}
	}
}

func TestPageCarriesTheResult(t *testing.T) {
	run, r := hostile(t)
	var back record.Result
	if err := json.Unmarshal([]byte(block(t, rendered(t, run, r), "captest-run")), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Capacity, back.Capacity); diff != "" {
		t.Errorf("embedded capacity (-want +got):\n%s", diff)
	}
	r.Warnings = make([]string, 100_000)
	if page := rendered(t, run, r); strings.Contains(page, `id="captest-run"`) || len(page) > 2<<20 {
		t.Errorf("a huge result is embedded; %d bytes", len(page))
	}
}

var tags = regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>`)

// TestPageSaysIt looks for the words a reader came for.
func TestPageSaysIt(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(testing.TB) (*record.Run, *record.Result)
		want []string
		not  []string
	}{
		{"healthy", healthy, []string{"7.21 registrations a second within limits", "433–470 users/minute", "SELF_HEALING", "closed ramp, one run", "not independently confirmed", "cpu-bound-hashing", "hash pool", "good again after"}, []string{"Cut short", "Not valid"}},
		{"stuck", wedged, []string{"Stuck after overload", "exit code 115", "deceptive", "http_requests_in_progress", "The time is lost on the caller's side", "14 scrapes failed"}, []string{"good again"}},
		{"cut short", cutShort, []string{"Cut short. captest was killed", "Not valid", "torn"}, []string{"SELF_HEALING"}},
		{"nothing", nothing, []string{"No request completed", "unknown", "Not tested"}, []string{"0 ms", "0/s", "0 %"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run, r := tt.make(t)
			text, _, _ := strings.Cut(rendered(t, run, r), `id="captest-run"`) // what follows is the embedded data
			text = html.UnescapeString(tags.ReplaceAllString(text, " "))
			text = strings.Join(strings.Fields(text), " ")
			for _, w := range tt.want {
				if !strings.Contains(text, w) {
					t.Errorf("%q is missing", w)
				}
			}
			for _, w := range tt.not {
				if strings.Contains(text, w) {
					t.Errorf("%q must not be there", w)
				}
			}
		})
	}
}

func TestPageWithoutRun(t *testing.T) {
	_, r := healthy(t)
	page := rendered(t, nil, r)
	for _, want := range []string{"7.21", "Nothing was recorded second by second", "SELF_HEALING"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// Results whose numbers make no sense must still make a page: a folder may come from anywhere.
func TestPageOfNonsense(t *testing.T) {
	run, r := nothing(t)
	r.Recovery = &record.Recovery{Class: "NEVER_HEARD_OF"}
	r.Trials = []record.Trial{{Load: record.Load{Users: -3}, N: 1}, {Load: record.Load{RatePerSecond: 1e308}, N: 1, GoodputPerSecond: 1e308}, {Load: record.Load{RatePerSecond: 1e-300}, N: 1}}
	r.Capacity.Concurrency = record.Concurrency{MaxWithinSLO: users(-1), Knee: ref(-5)}
	r.Capacity.PerSecond.Confirmed = ref(-1)
	r.Baseline = &record.Baseline{}
	r.Limits = []record.LimitResult{{}}
	r.Ceilings, r.Findings = []record.Ceiling{{}}, []record.Finding{{}}
	run.Frames = []record.Frame{{Seconds: -1}, {OffsetS: math.NaN(), Seconds: 1}, {OffsetS: 1e300, Seconds: 1}, {Seconds: 1, Steps: map[string]*record.StepFrame{"a": nil, "b": {N: 1, OK: 5, Response: "garbage"}}}}
	run.Probes = []record.Probe{{OffsetS: 1e300}, {OffsetS: -1e300}}
	run.Scrapes = []record.Scrape{{OffsetS: 1e300, Values: map[string]float64{"go_goroutines": math.Inf(1)}}, {Values: map[string]float64{"go_goroutines": 3, `x{downstream="`: 1}}}
	run.Hosts = []record.HostReading{{CPUPercent: ref(math.NaN())}}
	page := rendered(t, run, r)
	if strings.Contains(page[:strings.Index(page, `id="captest-run"`)], "NaN") {
		t.Error("NaN is shown")
	}
	if text(t, r, TextOptions{}) == "" {
		t.Error("no text")
	}
}

func TestThin(t *testing.T) {
	c := chart{Series: []series{{Y: nil}, {Y: nil}}}
	for i := range 5003 {
		c.X = append(c.X, float64(i))
		up, hole := float64(i%17), math.NaN()
		if i == 3210 {
			up = 500
		}
		if i >= 4000 {
			hole = -float64(i)
		}
		c.Series[0].Y, c.Series[1].Y = append(c.Series[0].Y, up), append(c.Series[1].Y, hole)
	}
	out := thin(c, 1000)
	if len(out.X) > 1000 || len(out.X) < 990 {
		t.Fatalf("%d points", len(out.X))
	}
	top, low, gaps := 0.0, 0.0, 0
	for i := range out.X {
		if i > 0 && out.X[i] < out.X[i-1] {
			t.Fatalf("time runs backwards at %d", i)
		}
		top = max(top, out.Series[0].Y[i])
		if math.IsNaN(out.Series[1].Y[i]) {
			gaps++
		} else {
			low = min(low, out.Series[1].Y[i])
		}
	}
	if top != 500 || low != -5002 {
		t.Errorf("the extremes became %v and %v", top, low)
	}
	if gaps < 790 || gaps > 810 {
		t.Errorf("%d of 800 gaps are left", gaps)
	}
	if diff := cmp.Diff(5003, len(thin(c, 6000).X)); diff != "" {
		t.Errorf("a short series was thinned: %s", diff)
	}
}

func TestTicksCoverTheTop(t *testing.T) {
	for _, top := range []float64{0, 1e-9, 0.3, 1, 1.01, 7.5, 9.99, 100, 133, 6713, 1e12, math.Inf(1), math.NaN(), -4} {
		tk := ticks(top)
		if len(tk) < 2 || len(tk) > 8 || tk[0] != 0 {
			t.Errorf("ticks(%v) = %v", top, tk)
		}
		if top > 0 && !math.IsInf(top, 0) && tk[len(tk)-1] < top*0.998 {
			t.Errorf("ticks(%v) end at %v", top, tk[len(tk)-1])
		}
	}
}

func TestGauges(t *testing.T) {
	var scrapes []record.Scrape
	for i := range 10 {
		at := float64(i) + 0.3
		s := record.Scrape{OffsetS: at, Service: "user", Values: map[string]float64{
			`event_loop_busy_seconds_total{worker="0"}`: 0.5 * at, `event_loop_busy_seconds_total{worker="1"}`: 0.9 * at,
			`semaphore_in_use{downstream="billing"}`: 4, `semaphore_limit{downstream="billing"}`: 10,
			"process_open_fds": 20, "process_max_fds": 1048576, "hash_pool_queue": 0, "hash_pool_busy": 1, "hash_pool_size": 2,
		}}
		if i == 6 {
			s = record.Scrape{OffsetS: at, Service: "user", Error: "timeout"}
		}
		idle := record.Scrape{OffsetS: at, Service: "billing", Values: map[string]float64{"hash_pool_busy": 0, "hash_pool_size": 2, "process_open_fds": 9}}
		scrapes = append(scrapes, idle, s)
	}
	charts, flat := gaugesOf(scrapes)
	got := map[string][]string{}
	for _, c := range charts {
		for _, s := range c.Series {
			got[c.ID] = append(got[c.ID], s.Name)
		}
	}
	want := map[string][]string{"loop": {"user"}, "semaphore": {"user → billing", "user → billing, limit"}, "fds": {"billing", "user"}, "hash-busy": {"user", "user, limit"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"waiting for the hash pool"}, flat); diff != "" {
		t.Errorf("flat (-want +got):\n%s", diff)
	}
	for _, c := range charts {
		if len(c.Marks) != 1 || math.Abs(c.Marks[0]-6.3) > 1e-9 {
			t.Errorf("%s: failed scrapes at %v", c.ID, c.Marks)
		}
		for _, s := range c.Series {
			if s.Name == "user" && (!math.IsNaN(s.Y[6]) || math.IsNaN(s.Y[5])) {
				t.Errorf("%s: %v and %v around a failed scrape", c.ID, s.Y[5], s.Y[6])
			}
			if s.Name == "user" && s.Color != palette[1] {
				t.Errorf("%s: user is drawn in colour %d", c.ID, s.Color)
			}
		}
		if c.ID == "loop" { // two workers, 50 % and 90 % busy
			if v := c.Series[0].Y[3]; math.Abs(v-70) > 1e-6 {
				t.Errorf("event loops %v %% busy, want 70", v)
			}
		}
	}
}

func TestBands(t *testing.T) {
	run, _ := healthy(t)
	var got []string
	for _, b := range bandsOf(run.Frames) {
		got = append(got, b.Label+" "+b.Tone)
	}
	want := []string{"preflight rest", "1 user load", "2 users load", "4 users load", "8 users load", "10 users load", "50 users overload", "release rest", "recovery rest"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStrips(t *testing.T) {
	run, _ := wedged(t)
	rows := stripsOf(run.Probes)
	var names []string
	for _, r := range rows {
		names = append(names, r.name)
	}
	if diff := cmp.Diff([]string{"functional, fresh", "functional, kept", "health, fresh", "health, kept"}, names); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	table := probesTable(rows, bandsOf(run.Frames))
	if got := table.Rows[0][2].Text; got != "0 %" {
		t.Errorf("functional probes ok: %s", got)
	}
	if got := table.Rows[2][2].Text; got != "100 %" {
		t.Errorf("health probes ok: %s", got)
	}
	if svg := string(stripSVG(rows, bandsOf(run.Frames), nil)); strings.Count(svg, "<rect") > 20 {
		t.Errorf("%d bars for four constant rows", strings.Count(svg, "<rect"))
	}
}

func TestHeadline(t *testing.T) {
	_, whole := healthy(t)
	for _, tt := range []struct {
		name   string
		change func(*record.Result)
		want   string
	}{
		{"as it is", func(*record.Result) {}, "7.21 registrations a second within limits, and it heals by itself"},
		{"invalid", func(r *record.Result) { r.Validity.Valid = false }, "Not valid: these numbers may not be about the target"},
		{"crashed", func(r *record.Result) { r.Recovery.Class = record.Crashed }, "Crashed"},
		{"crashed at once", func(r *record.Result) { r.Recovery.Class, r.Steps = record.Crashed, nil }, "Crashed"},
		{"restart", func(r *record.Result) { r.Recovery.Class = record.StuckRestart }, "Stuck after overload until it was restarted"},
		{"interrupted", func(r *record.Result) { r.Run.Interrupted = true }, "Interrupted: what was measured so far"},
		{"broken", func(r *record.Result) { r.Limits[0].OK = false }, "1 of 3 limits broken"},
		{"unjudged", func(r *record.Result) { r.Limits[0] = record.LimitResult{Expr: "x.p95<1s", At: "1 user"} }, "1 of 3 limits could not be judged"},
		{"no limits", func(r *record.Result) { r.Limits = nil }, "Measured; there were no limits to hold it against"},
		{"fixed", func(r *record.Result) { r.Run.Plan = "fixed" }, "Every limit held"},
		{"fixed, half of it failed", func(r *record.Result) {
			r.Run.Plan, r.Limits, r.Steps = "fixed", nil, map[string]record.StepStats{"register": {N: 10, OK: 5}}
		}, "50.0 % of 10 requests failed; there were no limits to hold that against"},
		{"all failed", func(r *record.Result) { r.Steps = map[string]record.StepStats{"register": {N: 5}} }, "No request succeeded"},
	} {
		r := scrub(whole) // a deep copy
		tt.change(r)
		if got := headline(r); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	for name, want := range map[string]string{"registration": "registrations", "killbill-direct": "journeys", "x": "journeys", "journeys": "journeys"} {
		if got := noun(&record.Result{Run: record.RunInfo{Scenario: name, Plan: gate.PlanCapacity}}); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
