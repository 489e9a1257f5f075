package diagnose

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/captest/captest/internal/record"
)

// golden is a real run of the bundled services, reduced to what a diagnosis looks at. Such a file is made of the run folders
// under $CAPTEST_GOLDEN/NAME/* with
//
//	captest run --set fault=NAME --out $CAPTEST_GOLDEN/NAME
//	CAPTEST_GOLDEN=folder go test ./internal/diagnose -run TestRealFaults
type golden struct {
	Run record.Run
	Res record.Result
}

// TestRealFaults: runs of the bundled services with one fault planted each, and of their profiles, on two cores that other
// programs used too. The planted cause is named at C2 where it lives and comes first; what else is named is true of that run.
func TestRealFaults(t *testing.T) {
	t.Parallel()
	explainGolden(t, realFaults)
}

// TestRealRunsWithTests: runs of the matrix, with the tests that were made. "blind" ones show no metrics.
func TestRealRunsWithTests(t *testing.T) {
	t.Parallel()
	explainGolden(t, testedFaults)
}

func explainGolden(t *testing.T, runs []realRun) {
	from := os.Getenv("CAPTEST_GOLDEN")
	for _, tt := range runs {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", tt.name+".json.gz")
			if made, _ := filepath.Glob(filepath.Join(from, tt.name, "*")); from != "" && len(made) > 0 {
				reduce(t, filepath.Join(from, tt.name, "*"), path)
			}
			g := readGolden(t, path)
			Explain(&g.Run, &g.Res)
			if got := named(&g.Res); !slices.Equal(got, tt.want) {
				t.Errorf("found\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}

func readGolden(t *testing.T, path string) golden {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.NewDecoder(z).Decode(&g); err != nil {
		t.Fatal(err)
	}
	return g
}

// reduce writes a run folder as a golden file: no histograms, only metrics that diagnoses read, figures to seven digits.
func reduce(t *testing.T, pattern, to string) {
	t.Helper()
	dirs, err := filepath.Glob(pattern)
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no run folder at %s: %v", pattern, err)
	}
	run, err := record.Read(dirs[len(dirs)-1])
	if err != nil {
		t.Fatal(err)
	}
	g := golden{Run: *run, Res: *record.Summarise(run)}
	g.Run.Dir = ""
	g.Run.Info.Host.CPUModel, g.Run.Info.Host.Kernel = "", ""
	for i := range g.Run.Frames {
		f := &g.Run.Frames[i]
		f.Lag, f.Connections = "", record.ConnectionFrame{}
		for _, s := range f.Steps {
			s.Response, s.Service = "", ""
		}
	}
	for i := range g.Run.Scrapes {
		for key, v := range g.Run.Scrapes[i].Values {
			name, _, _ := strings.Cut(key, "{")
			if !slices.ContainsFunc(goldenMetrics, func(p string) bool { return strings.HasPrefix(name, p) }) {
				delete(g.Run.Scrapes[i].Values, key)
				continue
			}
			g.Run.Scrapes[i].Values[key] = short(v)
		}
	}
	text, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	z, _ := gzip.NewWriterLevel(f, gzip.BestCompression)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// goldenMetrics are prefixes of the metrics kept.
var goldenMetrics = []string{
	"accept_queue_", "capacity_", "circuit_breaker_state", "connections_accepted_total", "event_loop_", "go_cpu_classes_gc_total", "go_gc_duration_seconds_count",
	"go_sched_gomaxprocs", "go_sync_mutex_wait", "hash", "hot_lock", "http_client_", "http_requests_in_progress", "kb_resource./1_0/kb/accounts.createAccount.POST", "pool.",
	"process_cpu_seconds_total", "process_max_fds", "process_open_fds", "process_resident_memory_bytes", "requests_shed_total", "semaphore_", "store_session_seconds_total",
}

// short is a value to seven digits: differences of counters need that many.
func short(v float64) float64 {
	x, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 7, 64), 64)
	if err != nil {
		return v
	}
	return x
}
