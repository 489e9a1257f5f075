package observe

import (
	"math"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

func TestTheDictionary(t *testing.T) {
	for name, want := range map[string]map[string]float64{
		"go-client.prom": {
			`pool.in_use{db_name="orders"}`: 9, `pool.max{db_name="orders"}`: 10, `pool.idle{db_name="orders"}`: 1, `pool.wait_sum{db_name="orders"}`: 31.5,
			"process_cpu_seconds_total": 12.25, "process_open_fds": 41, "process_max_fds": 1024, "go_sched_gomaxprocs_threads": 4,
			"go_cpu_classes_gc_total_cpu_seconds_total": 1.5, "go_gc_duration_seconds_count": 212, "go_sync_mutex_wait_total_seconds_total": 0.25,
		},
		"python-client.prom": {
			`requests.in_progress{handler="/auth/register",method="POST"}`: 6, `requests.in_progress{handler="/auth/login",method="POST"}`: 2,
			"loop.lag": 0.35, "process_cpu_seconds_total": 7.5, "process_open_fds": 19, "process_max_fds": 1048576,
		},
		"python-multiprocess.prom": { // several workers' requests add up, their lags do not
			`requests.in_progress{handler="/auth/register",method="POST",pid="21"}`: 3, `requests.in_progress{handler="/auth/register",method="POST",pid="22"}`: 4,
			"loop.lag": 0.41,
		},
		"micrometer.prom": {
			`pool.in_use{pool="HikariPool-1"}`: 10, `pool.in_use{pool="audit"}`: 1, `pool.max{pool="HikariPool-1"}`: 10, `pool.max{pool="audit"}`: 5,
			`pool.idle{pool="HikariPool-1"}`: 0, `pool.waiting{pool="HikariPool-1"}`: 14, `pool.wait_sum{pool="HikariPool-1"}`: 45.5,
			`sem.available{name="billing"}`: 3, `sem.max{name="billing"}`: 25,
			`requests.in_progress{name="http-nio-8080"}`: 24, `requests.max{name="http-nio-8080"}`: 200,
			`gc.pause_sum{action="end of minor GC",cause="G1 Evacuation Pause"}`: 0.64, `gc.pauses{action="end of minor GC",cause="G1 Evacuation Pause"}`: 40,
			`gc.pause_sum{action="end of major GC",cause="Allocation Failure"}`: 0.36, `gc.pauses{action="end of major GC",cause="Allocation Failure"}`: 2,
			"process_cpu_seconds_total": 21.5, "process_open_fds": 88, "process_max_fds": 65536,
		},
		"jetty.prom": {
			"requests.in_progress": 17, "requests.max": 200, `gc.pause_sum{gc="G1 Young Generation"}`: 0.41, `gc.pauses{gc="G1 Young Generation"}`: 31,
			"process_cpu_seconds_total": 30.5,
		},
		"dropwizard.json": {
			`pool.in_use{pool="HikariPool-1"}`: 10, `pool.max{pool="HikariPool-1"}`: 10, `pool.idle{pool="HikariPool-1"}`: 0, `pool.waiting{pool="HikariPool-1"}`: 7,
			`gc.pause_sum{gc="G1-Old-Generation"}`: 0.15, `gc.pauses{gc="G1-Old-Generation"}`: 1,
			`gc.pause_sum{gc="G1-Young-Generation"}`: 0.85, `gc.pauses{gc="G1-Young-Generation"}`: 90,
			`requests.in_progress{handler="io.dropwizard.jetty.MutableServletContextHandler"}`: 12,
		},
		"node.prom": {
			"loop.lag": 0.19, `gc.pause_sum{kind="minor"}`: 0.05, `gc.pauses{kind="minor"}`: 42, `gc.pause_sum{kind="major"}`: 0.03, `gc.pauses{kind="major"}`: 3,
			"process_cpu_seconds_total": 18.25, "process_open_fds": 27, "process_max_fds": 1048576,
		},
	} {
		t.Run(name, func(t *testing.T) {
			media := "text/plain"
			if strings.HasSuffix(name, ".json") {
				media = "application/json"
			}
			values, err := parse(fixture(t, name), "", media)
			if err != nil {
				t.Fatal(err)
			}
			addRoles(values, nil)
			for key, v := range want {
				if got, ok := values[key]; !ok || math.Abs(got-v) > 1e-9 {
					t.Errorf("%s is %v, %v, want %v", key, got, ok, v)
				}
			}
			for key := range values { // and no other roles
				role, _, _ := strings.Cut(key, "{")
				if _, expected := want[key]; !expected && isRole(role) {
					t.Errorf("%s is %v and plays no such role", key, values[key])
				}
				if !understood(key) && isRole(role) {
					t.Errorf("%s may be dropped", key)
				}
			}
		})
	}
}

func isRole(name string) bool {
	for _, role := range targets.RoleNames() {
		if name == role {
			return true
		}
	}
	return false
}

func TestEveryRoleOfTheDictionaryHasAName(t *testing.T) {
	for _, m := range dictionary {
		if !isRole(m.role) && !strings.HasPrefix(m.role, "process_") {
			t.Errorf("%s stands for %q, which no target file can name", m.name, m.role)
		}
	}
}

func TestATargetFilesNamesWin(t *testing.T) {
	values, err := parse(fixture(t, "node.prom"), "", "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	addRoles(values, map[string]string{"loop.lag": "nodejs_eventloop_lag_p99_seconds", "gc.pauses": `nodejs_gc_duration_seconds_count{kind="major"}`})
	for key, want := range map[string]float64{"loop.lag": 0.27, `gc.pauses{kind="major"}`: 3, `gc.pause_sum{kind="minor"}`: 0.05} {
		if got := values[key]; got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	if v, ok := values[`gc.pauses{kind="minor"}`]; ok {
		t.Errorf("a name captest knows fills %v in beside the target file's", v)
	}
}

func TestCaptestsOwnNamesStand(t *testing.T) {
	values := map[string]float64{"process_open_fds": 5, "process_files_open_files": 7, "pool.in_use": 2, `hikaricp_connections_active{pool="x"}`: 9}
	addRoles(values, nil)
	if _, both := values[`pool.in_use{pool="x"}`]; both || values["process_open_fds"] != 5 || values["pool.in_use"] != 2 {
		t.Errorf("the values are %v", values)
	}
}

// Two workers with counters of their own answer in turn: the screen shows no rate between them, and never a negative one.
func TestARandomWorkerGivesNoRate(t *testing.T) {
	first, err := parse(fixture(t, "python-client.prom"), "", "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	second := map[string]float64{"process_start_time_seconds": 1.76401200043e+09, "process_cpu_seconds_total": 2}
	s := &scraper{service: targets.Service{Name: "user"}}
	o := &Observer{scrapers: []*scraper{s}}
	s.before, s.last = &record.Scrape{OffsetS: 1, Values: first}, &record.Scrape{OffsetS: 2, Values: second}
	for range 2 {
		for _, g := range o.Gauges() {
			if g.Name == "cpu" || g.Value < 0 {
				t.Errorf("%s is %v between two workers", g.Name, g.Value)
			}
		}
		s.before, s.last = s.last, &record.Scrape{OffsetS: 3, Values: first}
	}
}
