package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
	"github.com/captest/captest/targets"
)

// direct makes one for the service "inner" with what the Config leaves open.
func direct(t *testing.T, c Config, kind string, steps ...scenarios.Step) *Direct {
	t.Helper()
	if len(steps) == 0 {
		steps = []scenarios.Step{{Name: "open", Service: "inner", Request: scenarios.Request{Method: "POST", Path: scenarios.Literal("/"), Body: text(t, "{{unique}}")}}}
	}
	c.Scenario = &scenarios.Scenario{Name: "x", Steps: get("/").Steps, Direct: []scenarios.Direct{{Service: "inner", Steps: steps}}}
	c.Target = target("http://entry.test")
	c.Target.Services = append(c.Target.Services, targets.Service{Name: "inner", URL: "http://inner.test", Kind: kind})
	c.Clock = record.NewClock()
	d, err := NewDirect(filled(c), "inner")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func send(t *testing.T, d *Direct, load DirectLoad) DirectResult {
	t.Helper()
	r, err := d.Send(t.Context(), load)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestDirectMeasuresTheService: a server of two places that takes 200 ms is one that answers a lone user in 200 ms and ten in a
// second (R = N·S ÷ m), at ten a second (X = m ÷ S).
func TestDirectMeasuresTheService(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		places := make(chan struct{}, 2)
		m := stub(t, func(http.ResponseWriter, *http.Request) {
			places <- struct{}{}
			time.Sleep(200 * time.Millisecond)
			<-places
		})
		reserved := 0
		id := NewIdentity(1, "x", func(record.LedgerBlock) error { reserved++; return nil })
		d := direct(t, Config{dial: m.dial, Identity: id}, "")
		alone := send(t, d, DirectLoad{Users: 1, For: 1500 * time.Millisecond, Total: 5, Grace: time.Second})
		if alone.N != 5 || alone.Failed != 0 || !near(alone.Requests.MeanMs(), 200, 1) || !near(alone.PerSecond, 5, .1) {
			t.Errorf("alone: %d requests, %d failed, mean %.1f ms, %.2f/s; want 5 at 200 ms", alone.N, alone.Failed, alone.Requests.MeanMs(), alone.PerSecond)
		}
		ten := send(t, d, DirectLoad{Users: 10, For: 10 * time.Second, Grace: 2 * time.Second})
		if mean := ten.Requests.MeanMs(); !near(ten.PerSecond, 10, .3) || mean < 900 || mean > 1010 {
			t.Errorf("ten users: mean %.1f ms, %.2f/s; want 1000 ms (less while the line forms) at 10/s", mean, ten.PerSecond)
		}
		if reserved == 0 {
			t.Error("identities were used that the ledger does not have")
		}
	})
}

// TestDirectAsksKillBillForItsAccount: of 250 journeys the 1st, the 101st and the 201st, and never another service.
func TestDirectAsksKillBillForItsAccount(t *testing.T) {
	once(t)
	for _, tt := range []struct {
		kind, answer string
		asked        int64
		profiled     uint64
	}{
		{kindKillBill, `{"rawData":[{"name":"JAXRS:1.0/kb/accounts","durationUsec":8000,"calls":[{"name":"API:createAccount","durationUsec":7000,"calls":[{"name":"DAO:create","durationUsec":5000}]}]}]}`, 3, 3},
		{kindKillBill, `{"rawData":[{"name":"JAXRS","durationUsec":8000000}]}`, 3, 0}, // longer than captest waited
		{kindKillBill, "", 3, 0},
		{kindKillBill, `{"rawData":`, 3, 0},
		{"", `{"rawData":[{"name":"JAXRS","durationUsec":8000}]}`, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var asked atomic.Int64
			m := stub(t, func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(10 * time.Millisecond)
				if got := r.Header.Get("X-Killbill-Profiling-Req"); got != "" {
					if asked.Add(1); got != "JAXRS,API,DAO" {
						t.Errorf("asked for %q", got)
					}
				}
				w.Header().Set("X-Killbill-Profiling-Resp", tt.answer)
			})
			r := send(t, direct(t, Config{dial: m.dial}, tt.kind), DirectLoad{Users: 5, For: time.Minute, Total: 250})
			if asked.Load() != tt.asked || r.Profiles != tt.profiled || r.N != 250 || r.Failed != 0 {
				t.Errorf("%q: asked %d times, %d profiles, %d of %d failed; want %d and %d", tt.answer, asked.Load(), r.Profiles, r.Failed, r.N, tt.asked, tt.profiled)
			}
			if tt.profiled > 0 && (!near(r.ProfiledMs, 8, .01) || !near(r.DatabaseMs, 5, .01)) {
				t.Errorf("%.2f ms, database %.2f ms; want 8 and 5", r.ProfiledMs, r.DatabaseMs)
			}
		})
	}
}

// TestDirectEndsInTime: a service that hangs costs the grace and no more, and what it owed counts as waited for.
func TestDirectEndsInTime(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		m := stub(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then does a server see its client go
			<-r.Context().Done()
		})
		began := time.Now()
		r := send(t, direct(t, Config{dial: m.dial}, ""), DirectLoad{Users: 4, For: 3 * time.Second, Grace: 2 * time.Second})
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v, want 5 s", took)
		}
		if r.Unfinished != 4 || r.Failed != 4 || !near(r.Requests.MeanMs(), 5000, 10) || r.PerSecond != 0 {
			t.Errorf("%+v, mean %.0f ms", r, r.Requests.MeanMs())
		}
	})
}

// TestDirectGivesUpWhereNothingSucceeds: credentials the service does not know are not tried for seconds.
func TestDirectGivesUpWhereNothingSucceeds(t *testing.T) {
	once(t)
	synctest.Test(t, func(t *testing.T) {
		var hits atomic.Int64
		m := stub(t, func(w http.ResponseWriter, _ *http.Request) {
			hits.Add(1)
			time.Sleep(time.Millisecond)
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, "the password was hunter2")
		})
		r := send(t, direct(t, Config{dial: m.dial}, ""), DirectLoad{Users: 4, For: time.Minute, Grace: time.Second})
		if n := hits.Load(); n < hopeless || n > hopeless+4 || r.N != r.Failed || r.Failure != "status 401" || r.Requests.N() != 0 {
			t.Errorf("%d requests, result %+v", n, r)
		}
	})
}

// TestDirectEndsWhereMostFails: a service in distress is not pushed on, one that fails at times is.
func TestDirectEndsWhereMostFails(t *testing.T) {
	once(t)
	for failing, ends := range map[int64]bool{3: true, 1: false} { // of five
		synctest.Test(t, func(t *testing.T) {
			var hits atomic.Int64
			m := stub(t, func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(10 * time.Millisecond)
				if hits.Add(1)%5 < failing {
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
			r := send(t, direct(t, Config{dial: m.dial}, ""), DirectLoad{Users: 4, For: 3 * time.Second, Grace: time.Second})
			if r.N == r.Failed || ends != (r.N < hopeless+8) {
				t.Errorf("%d of five fail: %d requests, of them %d failed", failing, r.N, r.Failed)
			}
		})
	}
}

func TestDirectRefuses(t *testing.T) {
	once(t)
	c := filled(Config{Scenario: get("/"), Clock: record.NewClock()})
	if _, err := NewDirect(c, "inner"); err == nil || !strings.Contains(err.Error(), "(direct:)") {
		t.Errorf("no steps: %v", err)
	}
	secret := scenarios.Step{Name: "o", Service: "inner", Request: scenarios.Request{Path: scenarios.Literal("/"), Basic: &scenarios.BasicAuth{User: text(t, "u"), Password: text(t, `{{env "SECRET"}}`)}}}
	c.Scenario = &scenarios.Scenario{Name: "x", Direct: []scenarios.Direct{{Service: "inner", Steps: []scenarios.Step{secret}}}}
	c.Target = target("http://127.0.0.1:1")
	c.Target.Services = append(c.Target.Services, targets.Service{Name: "inner", URL: "http://192.0.2.1:1"})
	var missing *scenarios.MissingEnvError
	if _, err := NewDirect(c, "inner"); !errors.As(err, &missing) {
		t.Errorf("no secret: %v", err)
	}
	// The guard stands before every dial; so does the ledger.
	c.Env = func(string) string { return "x" }
	d, err := NewDirect(c, "inner")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var refused *targets.RefusedError
	if _, err := d.Send(t.Context(), DirectLoad{Users: 1, For: time.Second}); !errors.As(err, &refused) {
		t.Errorf("an address that is not allowed: %v", err)
	}
	full := errors.New("disk full")
	c.Identity = NewIdentity(1, "x", func(record.LedgerBlock) error { return full })
	d2, err := NewDirect(c, "inner")
	if err != nil {
		t.Fatal(err)
	}
	defer d2.Close()
	if _, err := d2.Send(t.Context(), DirectLoad{Users: 1, For: time.Second}); !errors.Is(err, full) {
		t.Errorf("no ledger: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := d.Send(ctx, DirectLoad{Users: 3, For: time.Minute}); err != nil || r.N != 0 {
		t.Errorf("cancelled before: %+v, %v", r, err)
	}
}

func FuzzProfile(f *testing.F) {
	for _, s := range []string{
		"", "{}", "null", `{"rawData":[]}`, `{"rawData":[{"name":"JAXRS:x","durationUsec":1500,"calls":[{"name":"DAO:y","durationUsec":1000,"calls":[{"name":"DAO:z","durationUsec":900}]}]}]}`,
		`{"rawData":[{"durationUsec":-1}]}`, `{"rawData":[{"durationUsec":9223372036854775807},{"durationUsec":9223372036854775807}]}`, `{"rawData":[{"durationUsec":1e400}]}`,
		`{"rawData":` + strings.Repeat(`[{"calls":`, 400), strings.Repeat(`{"rawData":[{"name":"a","durationUsec":1,"calls":[`, 100),
		`{"rawData":[{"durationUsec":5},` + strings.Repeat(`{},`, 12000) + `{}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		total, database, ok := parseProfile(s)
		if ok && !(total > 0 && total <= 1000*profileLongestS && database >= 0 && database <= 1.1*total+1) {
			t.Errorf("believed %v ms, database %v ms of %q", total, database, s)
		}
	})
}

func TestProfileOfManyCalls(t *testing.T) {
	once(t)
	total, database, ok := parseProfile(`{"rawData":[{"name":"JAXRS:a","durationUsec":3000,"calls":[{"name":"DAO:b","durationUsec":1000,"calls":[{"name":"DAO:c","durationUsec":900}]},{"name":"API:d","durationUsec":1500,"calls":[{"name":"DAO:e","durationUsec":500}]}]},{"name":"API:f","durationUsec":500}]}`)
	if !ok || total != 3.5 || database != 1.5 { // c is within b
		t.Errorf("%v ms, database %v ms, %v", total, database, ok)
	}
	if _, _, ok := parseProfile(`{"rawData":[` + strings.Repeat(`{"name":"a","durationUsec":1,"calls":[`, 70) + strings.Repeat("]}", 70) + "]}"); ok {
		t.Error("a tree of 70 levels was believed")
	}
}
