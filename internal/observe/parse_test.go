package observe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/captest/captest/internal/record"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPrometheusText(t *testing.T) {
	got, err := parse(fixture(t, "user.prom"), "", "text/plain; version=0.0.4; charset=utf-8")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		`circuit_breaker_state{downstream="billing"}`:                      1,
		`event_loop_busy_seconds_total{worker="0"}`:                        10.5,
		`event_loop_busy_seconds_total{worker="1"}`:                        3,
		"go_gc_duration_seconds_sum":                                       0.0004,
		"go_gc_duration_seconds_count":                                     9,
		"go_goroutines":                                                    31,
		"hash_pool_busy":                                                   2,
		"hash_pool_queue":                                                  7,
		"hash_pool_size":                                                   2,
		`http_client_connections_in_use{downstream="billing"}`:             4,
		`http_client_request_duration_seconds_sum{downstream="billing"}`:   1.25,
		`http_client_request_duration_seconds_count{downstream="billing"}`: 5,
		"http_requests_in_progress":                                        9,
		`http_requests_total{route="/auth/register",status="201"}`:         40,
		`http_requests_total{route="/auth/\"odd\\\n",status="503"}`:        2,
		"process_cpu_seconds_total":                                        20,
		"process_max_fds":                                                  1024,
		"process_open_fds":                                                 17,
		"process_start_time_seconds":                                       1.7e9,
		`semaphore_in_use{downstream="billing"}`:                           6,
		`semaphore_in_use{downstream="free"}`:                              1,
		`semaphore_limit{downstream="billing"}`:                            10,
		`semaphore_limit{downstream="free"}`:                               0,
		"legacy_total":                                                     5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestDropwizardJSON(t *testing.T) {
	got, err := parse(fixture(t, "kill-bill.json"), killBill, "")
	if err != nil {
		t.Fatal(err)
	}
	timer := "kb_resource./1_0/kb/accounts.createAccount.POST.2xx.201"
	want := map[string]float64{
		"main.pool.ActiveConnections": 3, "main.pool.MaxConnections": 30, "process_open_fds": 55, "process_max_fds": 100,
		"capacity_busy": 27, "capacity_slots": 27, "kb.bus(odd)": 12,
		`sizes{stat="count"}`: 4, `sizes{stat="mean"}`: 5.5, `sizes{stat="min"}`: 1, `sizes{stat="max"}`: 9,
		`sizes{stat="p50"}`: 5, `sizes{stat="p95"}`: 8, `sizes{stat="p99"}`: 9, `sizes{stat="p999"}`: 9,
		`requests_shed{stat="count"}`: 2, `requests_shed{stat="m1_rate"}`: 0.5, `requests_shed{stat="mean_rate"}`: 0.25,
		timer + `{stat="count"}`: 100, timer + `{stat="mean_rate"}`: 7, timer + `{stat="m1_rate"}`: 10,
		timer + `{stat="mean"}`: 0.203, timer + `{stat="min"}`: 0.12, timer + `{stat="max"}`: 0.41, timer + `{stat="p50"}`: 0.199,
		timer + `{stat="p95"}`: 0.3, timer + `{stat="p99"}`: 0.39, timer + `{stat="p999"}`: 0.41,
		`strange{stat="count"}`: 1, // in no unit we know: no durations
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return a-b < 1e-12 && b-a < 1e-12 })); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if again, err := parse(fixture(t, "kill-bill.json"), "", "application/json;charset=utf-8"); err != nil || len(again) != len(got) {
		t.Errorf("JSON of a service of no kind gives %d values, %v", len(again), err)
	}
}

func TestWhatIsNoMetrics(t *testing.T) {
	for name, c := range map[string]struct{ body, kind, content, want string }{
		"garbage":            {"\x00\x01garbage {{{", "", "", "not metrics"},
		"a web page":         {"<html>login</html>", "", "text/html; charset=utf-8", "a web page"},
		"nothing":            {"", "", "text/plain", "no metrics"},
		"only what we drop":  {"go_memstats_frees_total 1\n", "", "text/plain", "no metrics"},
		"text for JSON":      {"a 1\n", killBill, "", "not Dropwizard JSON"},
		"other JSON":         {`{"status":"ok"}`, killBill, "", "no metrics"},
		"a JSON list":        {`[1,2]`, "", "application/json", "not Dropwizard JSON"},
		"cut off":            {`http_requests_total{route="/a`, "", "text/plain", "not metrics"},
		"gauges of strings":  {`{"gauges":{"a":{"value":"x"},"b":{"value":{}},"c":{}}}`, killBill, "", "no metrics"},
		"gauges that are no": {`{"gauges":{"a":7}}`, killBill, "", "not Dropwizard JSON"},
	} {
		if got, err := parse([]byte(c.body), c.kind, c.content); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s gives %v, %v, want %q", name, got, err, c.want)
		}
	}
}

func TestTrimKeepsWhatIsUnderstood(t *testing.T) {
	values := map[string]float64{"process_open_fds": 1, `semaphore_in_use{downstream="x"}`: 2, "pool.in_use": 3}
	for i := range 100 {
		values[fmt.Sprintf("aaa_%03d", i)] = 1
	}
	if got := trim(values, 10); got != 93 || len(values) != 10 {
		t.Errorf("trim drops %d and leaves %d", got, len(values))
	}
	for _, key := range []string{"process_open_fds", `semaphore_in_use{downstream="x"}`, "pool.in_use", "aaa_006"} {
		if _, ok := values[key]; !ok {
			t.Errorf("%s was dropped", key)
		}
	}
	if got := trim(values, 10); got != 0 {
		t.Errorf("trimming again drops %d", got)
	}
}

func TestRoles(t *testing.T) {
	values := map[string]float64{
		`acme_pool_used{pool="a"}`: 3, `acme_pool_used{pool="b"}`: 4, `acme_conns{state="max"}`: 20, `hikaricp_connections_active{pool="x"}`: 9,
		`hikaricp_connections_idle{pool="x"}`: 1, "process_files_open_files": 77,
	}
	addRoles(values, map[string]string{"pool.in_use": "acme_pool_used", "pool.max": `acme_conns{state="max"}`})
	for key, want := range map[string]float64{
		`pool.in_use{pool="a"}`: 3, `pool.in_use{pool="b"}`: 4, `pool.max{state="max"}`: 20, `pool.idle{pool="x"}`: 1, "process_open_fds": 77,
	} {
		if got, ok := values[key]; !ok || got != want {
			t.Errorf("%s is %v, %v, want %v", key, got, ok, want)
		}
	}
	if _, ok := values[`pool.in_use{pool="x"}`]; ok {
		t.Error("a role the target file gives away is filled by a name captest knows")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(fixture(f, "user.prom"), "", "text/plain")
	f.Add(fixture(f, "kill-bill.json"), killBill, "")
	f.Add([]byte("# TYPE a histogram\na_bucket{le=\"x\"} 1\na_sum NaN\n"), "", "")
	f.Add([]byte("{\"a\"} 1\n# HELP \n# TYPE a\na{b=\"\xff\"} 1e999\n"), "", "application/json; x=\"")
	f.Add([]byte(`{"timers":{"a":{"count":1,"mean":1e308,"duration_units":"minutes"}}}`), killBill, "")
	f.Fuzz(func(t *testing.T, body []byte, kind, contentType string) {
		values, err := parse(body, kind, contentType)
		if err != nil {
			_ = describe(err)
			return
		}
		addRoles(values, map[string]string{"pool.in_use": "a"})
		trim(values, 5)
		if len(values) > 5 {
			t.Fatalf("%d values after trimming to 5", len(values))
		}
		g := gauger{now: seriesOf(&record.Scrape{Values: values}), before: seriesOf(&record.Scrape{Values: values}), seconds: 1}
		g.all()
	})
}
