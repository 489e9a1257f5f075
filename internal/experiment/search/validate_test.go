package search

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/internal/validate"
)

// validations are targets of known capacity that the real captest searches in real time. The queues are those of the
// simulation; here they stand behind a real HTTP server.
var validations = []struct {
	name  string
	queue queue
}{
	{"4 servers, 100 ms, exponential", queue{servers: 4, mean: 0.1, shape: "exponential"}},
	{"2 servers, 250 ms, deterministic", queue{servers: 2, mean: 0.25}},
}

// cell is one search of one target, as it is kept for the next `make validate` of the same commit.
type cell struct {
	Seed                 int
	Lower, Upper         float64 // the interval to quote, /s; 0 unknown
	Confirmed            bool
	Seconds              float64 // the whole run
	Load                 float64 // s of it under load
	Invalid              string  // why captest says that it was the limit itself; "" when it does not
	Requests             int     // that the target served
	Realised             float64 // servers ÷ mean service time as drawn, /s
	LateP50Ms, LateP99Ms float64 // answers after they were due: the machine, not the queue
}

// row of the table.
func (c *cell) row(counted string) string {
	width := "–"
	if c.Lower > 0 && c.Upper > 0 {
		width = fmt.Sprintf("%.0f %%", 100*(c.Upper/c.Lower-1))
	}
	bound := func(v float64) string {
		if v <= 0 {
			return "?"
		}
		return fmt.Sprintf("%.2f", v)
	}
	confirmed := "no"
	if c.Confirmed {
		confirmed = "yes"
	}
	return fmt.Sprintf("| %d | %s–%s | %s | %s | %s | %.0f | %.0f | %.1f | %d | %.2f | %s |\n", c.Seed, bound(c.Lower), bound(c.Upper), width,
		counted, confirmed, c.Seconds, c.Load, c.LateP99Ms, c.Requests, c.Realised, c.Invalid)
}

const tableHead = "| run | interval /s | width | covered | confirmed | seconds | under load | answers late, p99 ms | answers | drawn /s | note |\n" +
	"|---:|---|---:|---|---|---:|---:|---:|---:|---:|---|\n"

func (c *cell) covers(truth float64) bool {
	return c.Lower > 0 && c.Lower <= truth*1.002 && c.Upper >= truth*0.998 // as the simulation counts
}

// TestRealSearchFindsTheTruth is `make validate`: the real program, as a process, against a real server, in real time. Nine
// intervals of ten must hold the true capacity. A run in which captest itself says that it was the limit is shown, not counted,
// and another one is made in its place.
func TestRealSearchFindsTheTruth(t *testing.T) {
	if os.Getenv("CAPTEST_VALIDATE") == "" {
		t.Skip("takes three quarters of an hour: make validate")
	}
	runs := 10
	if text := os.Getenv("VALIDATE_RUNS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("VALIDATE_RUNS=%s: must be a number from 1", text)
		}
		runs = n
	}
	captest := filepath.Join(t.TempDir(), "captest")
	if out, err := exec.Command("go", "build", "-o", captest, "../../../cmd/captest").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cache := validate.Cache(t)
	t.Logf("finished runs are kept in %s", cache)
	for i, v := range validations {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel() // they wait more than they work
			searches(t, captest, filepath.Join(cache, fmt.Sprintf("target%d", i+1)), v.queue, runs)
		})
	}
}

// searches one target until enough runs count, and prints the table.
func searches(t *testing.T, captest, cache string, q queue, runs int) {
	c := truth(q, nil)
	text := fmt.Sprintf("\ntruth %.2f/s\n\n%s", c, tableHead)
	counted, covered := 0, 0
	for seed := 1; counted < runs && seed <= 2*runs; seed++ {
		var x cell
		file := filepath.Join(cache, strconv.Itoa(seed)+".json")
		if !validate.Kept(file, &x) {
			const oneRun = 8 * time.Minute
			if deadline, set := t.Deadline(); set && time.Until(deadline) < oneRun+30*time.Second {
				t.Errorf("the time is over after %d runs of %d: call it again, finished ones are kept", counted, runs)
				break
			}
			ctx, cancel := context.WithTimeout(t.Context(), oneRun)
			x = searched(t, ctx, captest, q, seed)
			cancel()
			if x.Invalid == "" {
				validate.Keep(t, file, x)
			}
		}
		said := "not counted"
		if x.Invalid == "" {
			counted++
			said = "no"
			if x.covers(c) {
				covered++
				said = "yes"
			}
		}
		t.Log(x.row(said))
		text += x.row(said)
	}
	t.Logf("%s\n%d of %d intervals hold the truth\n", text, covered, counted)
	if counted < runs && !t.Failed() {
		t.Errorf("captest was the limit itself in %d runs of %d: this machine is too busy", 2*runs-counted, 2*runs)
	}
	if 10*covered < 9*counted {
		t.Errorf("%d of %d intervals hold the truth, want nine of ten", covered, counted)
	}
}

// searched runs captest once against a fresh target.
func searched(t *testing.T, ctx context.Context, captest string, q queue, seed int) cell {
	dir := t.TempDir()
	stub := &served{queue: q}
	stub.queue.start(uint64(seed))
	server := httptest.NewUnstartedServer(stub)
	server.Listener.Close()
	var err error
	if server.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	server.Start()
	defer server.Close()
	scenario, result := filepath.Join(dir, "work.yaml"), filepath.Join(dir, "run.json")
	if err := os.WriteFile(scenario, []byte("name: work\nsteps: [{name: work, request: {path: /work}, timeout: 60s}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, captest, "run", scenario, "--target", server.URL, "--effort", "quick", "--seed", strconv.Itoa(seed),
		"--baseline", "none", "--out", filepath.Join(dir, "runs"), "--json", result)
	cmd.Env = append(os.Environ(), "CI=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	began := time.Now()
	out, runErr := cmd.CombinedOutput() // a verdict other than pass is an exit status of its own
	took := time.Since(began)
	raw, err := os.ReadFile(result)
	if err != nil {
		t.Fatalf("seed %d: %v, %v\n%s", seed, runErr, err, out)
	}
	if os.Getenv("VALIDATE_KEEP") != "" { // for a look into the folder of a run that missed
		to := filepath.Join(os.Getenv("VALIDATE_KEEP"), fmt.Sprintf("%d-servers-%d", q.servers, seed))
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			t.Errorf("VALIDATE_KEEP: %v", err)
		}
	}
	var r record.Result
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	if r.Run.Interrupted {
		t.Fatalf("seed %d was not over after %s\n%s", seed, took, out)
	}
	x := stub.count()
	x.Seed, x.Confirmed, x.Seconds = seed, r.Capacity.Confirmation, took.Seconds()
	x.Lower, x.Upper = valueOf(r.Capacity.PerSecond.Confirmed), valueOf(r.Capacity.PerSecond.Refuted)
	x.Load = valueOf(r.Run.LoadSeconds)
	if r.Capacity.GeneratorLimit != "" {
		x.Invalid = "generator limit: " + r.Capacity.GeneratorLimit
	}
	return x
}

func valueOf(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// served is a queue behind a socket. When a request leaves is computed as it arrives, and waited for in absolute time: a timer
// that is late makes an answer late, but takes no capacity from the queue, whose truth therefore stands on a busy machine too.
type served struct {
	mu    sync.Mutex
	queue queue
	began time.Time
	late  []float64 // ms
	work  float64   // s of service, all requests
}

func (s *served) ServeHTTP(_ http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	if s.began.IsZero() {
		s.began = time.Now()
	}
	before := s.queue.free[s.queue.next()]
	t := time.Since(s.began).Seconds()
	leaves, _ := s.queue.arrive(t)
	s.work += leaves - max(t, before)
	due := s.began.Add(time.Duration(leaves * 1e9))
	s.mu.Unlock()
	time.Sleep(time.Until(due))
	late := time.Since(due)
	s.mu.Lock()
	s.late = append(s.late, late.Seconds()*1000)
	s.mu.Unlock()
}

func (s *served) count() cell {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.late)
	return cell{
		Requests: n, Realised: float64(s.queue.servers) * s.queue.served / max(s.work, 1e-9),
		LateP50Ms: quantileOf(s.late, 0.5), LateP99Ms: quantileOf(s.late, 0.99),
	}
}
