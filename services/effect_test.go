package services

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/services/kit"
)

// patience bounds the waits for what must come; brief is how long something that must not come is waited for.
const (
	patience = 20 * time.Second
	brief    = time.Second
)

// rig is a running stack with what a knob's effect is looked at through.
type rig struct {
	t    *testing.T
	url  map[string]string
	stop map[string]func() error
	set  map[string]string
	user string // a customer with an account
	made int    // e-mail addresses and customers so far
}

// startRig runs a stack under phase2 and a set, in this process or, for what acts on a process, as processes.
func startRig(t *testing.T, set map[string]string, processes bool) *rig {
	t.Helper()
	r := &rig{t: t, url: map[string]string{}, set: set}
	if !processes {
		c := startChain(t, "phase2", set)
		r.url, r.stop = c.url, c.stop
		return r
	}
	merged := map[string]string{"hash_cost": "4", "kill-bill.service_time": "2ms"}
	for k, v := range set {
		merged[k] = v
	}
	s := startStack(t, "phase2", merged)
	for _, name := range Names() {
		r.url[name] = s.url(name)
	}
	return r
}

// next is a name nobody had before.
func (r *rig) next() string {
	r.made++
	return fmt.Sprintf("n%d", r.made)
}

// metric is the sum of a metric's series whose labels contain all the given texts; absent ones are 0.
func (r *rig) metric(service, name string, labels ...string) float64 {
	r.t.Helper()
	sum := 0.0
	for line := range strings.SplitSeq(scrape(r.t, r.url[service]), "\n") {
		series, value, ok := strings.Cut(line, " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if i := strings.LastIndexByte(line, ' '); i > 0 {
			series, value = line[:i], line[i+1:]
		}
		if base, _, _ := strings.Cut(series, "{"); base != name {
			continue
		}
		fits := true
		for _, l := range labels {
			fits = fits && strings.Contains(series, l)
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil && fits {
			sum += v
		}
	}
	return sum
}

// reach polls a number until it is at least want, and gives the last one seen within limit.
func (r *rig) reach(want float64, limit time.Duration, number func() float64) float64 {
	r.t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		if v := number(); v >= want || time.Now().After(deadline) {
			return v
		}
	}
}

// least polls a number until it is 0, and gives the least one seen within brief: what is not only in use for a moment.
func (r *rig) least(number func() float64) float64 {
	r.t.Helper()
	best := math.Inf(1)
	for deadline := time.Now().Add(brief); ; time.Sleep(10 * time.Millisecond) {
		if best = min(best, number()); best <= 0 || time.Now().After(deadline) {
			return best
		}
	}
}

// must waits for a number to be want.
func (r *rig) must(want float64, what string, number func() float64) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if number() == want {
			return
		}
	}
	r.t.Fatalf("%s never became %v", what, want)
}

// fault puts faults into a service's own routes; clear takes them away.
func (r *rig) fault(service, kind, more string) {
	r.t.Helper()
	r.control(service, http.MethodPut, fmt.Sprintf(`{"faults":[{"kind":%q,"paths":["/api/","/auth/","/users/","/1.0/kb/"]%s}]}`, kind, more))
}

func (r *rig) clear(service string) { r.control(service, http.MethodDelete, "") }

func (r *rig) control(service, method, body string) {
	r.t.Helper()
	if status, _, answer := ask(r.t, method, r.url[service]+kit.FaultsPath, body); status != http.StatusOK {
		r.t.Fatalf("%s %s at %s: %d %v", method, kit.FaultsPath, service, status, answer)
	}
}

// downstream of a service.
func downstream(service string) string {
	if service == "billing" {
		return "kill-bill"
	}
	return "billing"
}

// calling is a request to a service that makes it call its downstream: once, or twice for billing.
func (r *rig) calling(service string) (path, body string) {
	switch service {
	case "user":
		return "/auth/register", registration(r.next() + "@load.example")
	case "billing":
		return "/api/billing/accounts/", fmt.Sprintf(`{"customer_id":%q,"email":"a@load.example","name":"Load Test"}`, r.next())
	case "instance":
		if r.user == "" {
			r.user = r.next()
			ask(r.t, "POST", r.url["billing"]+"/api/billing/accounts/", fmt.Sprintf(`{"customer_id":%q}`, r.user))
		}
		return "/api/v1/instances/", fmt.Sprintf(`{"name":"one","customer_id":%q}`, r.user)
	default:
		id := r.next()
		return "/1.0/kb/accounts", fmt.Sprintf(`{"externalKey":%q,"email":"a@load.example","name":"Load","currency":"USD"}`, id)
	}
}

// call makes one such request to its end and gives its status, 0 for none.
func (r *rig) call(service string) int { return <-r.start(r.t.Context(), service) }

// start begins one and gives its status when it is there.
func (r *rig) start(ctx context.Context, service string) <-chan int {
	path, body := r.calling(service)
	done := make(chan int, 1)
	go func() {
		done <- statusOf(ctx, r.url[service]+path, body)
		close(done) // whoever asks again is not kept waiting
	}()
	return done
}

// statusOf gives the status of an answer, 0 when none came.
func statusOf(ctx context.Context, url, body string) int {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0
	}
	for k, v := range map[string]string{"Content-Type": "application/json", "X-Killbill-Apikey": "bob", "X-Killbill-Apisecret": "lazar", "X-Killbill-Createdby": "test"} {
		req.Header.Set(k, v)
	}
	if strings.Contains(url, "/1.0/") {
		req.SetBasicAuth("admin", "password")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// held runs look while n requests to the service hang in its downstream, and lets them finish.
func (r *rig) held(service string, n int, look func(done []<-chan int) float64) float64 {
	r.t.Helper()
	r.call(service) // a connection, a customer, a tenant: nothing to be set up while the downstream hangs
	r.fault(downstream(service), "stall", "")
	var done []<-chan int
	for range n {
		done = append(done, r.start(r.t.Context(), service))
	}
	defer func() {
		r.clear(downstream(service))
		for _, d := range done {
			<-d
		}
	}()
	return look(done)
}

// answered counts the requests that are over within a time.
func answered(done []<-chan int, limit time.Duration) (n float64) {
	after := time.After(limit)
	for _, d := range done {
		select {
		case <-d:
			n++
		case <-after:
			return n
		}
	}
	return n
}

// quickest is the shortest of five goes, in seconds: what noise cannot make longer.
func quickest(do func()) float64 {
	best := math.Inf(1)
	for range 5 {
		began := time.Now()
		do()
		best = min(best, time.Since(began).Seconds())
	}
	return best
}

// dial opens a connection of its own and asks one thing over it.
func (r *rig) dial(service string) net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url[service], "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, err := c.Read(make([]byte, 4096)); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// steady is what no knob may change but those that say so: what a fixed, quiet sequence of requests makes of the stack.
type steady map[string]float64

// quiet sends the sequence and gives what changed meanwhile.
func (r *rig) quiet() steady {
	r.t.Helper()
	read := func() steady {
		s := steady{}
		for _, service := range []string{"user", "billing", "instance"} {
			d := `downstream="` + downstream(service) + `"`
			s["connections of "+service] = r.metric(service, "http_client_connections_opened_total", d)
			s["calls of "+service] = r.metric(service, "http_client_requests_total", d)
			s["retries of "+service] = r.metric(service, "http_client_retries_total", d)
			s["shed by "+service] = r.metric(service, "requests_shed_total")
		}
		s["hashes"] = r.metric("user", "hashes_total")
		s["refusals of kill-bill"] = r.metric("kill-bill", "requests_shed_total")
		return s
	}
	before := read()
	statuses := steady{}
	note := func(step string, status int) {
		if seen := statuses["status of "+step]; seen == 0 || seen < 300 { // the first that is not well stays
			statuses["status of "+step] = float64(status)
		}
	}
	for range 4 {
		email := r.next() + "@load.example"
		status, _, answer := ask(r.t, "POST", r.url["user"]+"/auth/register", registration(email))
		note("register", status)
		customer, _ := answer["customer"].(map[string]any)
		id, _ := customer["id"].(string)
		status, _, _ = ask(r.t, "POST", r.url["user"]+"/auth/register", registration(email))
		note("register again", status)
		status, _, login := ask(r.t, "POST", r.url["user"]+"/auth/login", fmt.Sprintf(`{"email":%q,"password":"Correct-Horse-1"}`, email))
		note("login", status)
		tokens, _ := login["tokens"].(map[string]any)
		status, _, _ = ask(r.t, "GET", r.url["user"]+"/users/profile", "", "Authorization", fmt.Sprint("Bearer ", tokens["access_token"]))
		note("profile", status)
		status, _, _ = ask(r.t, "POST", r.url["instance"]+"/api/v1/instances/", fmt.Sprintf(`{"name":"one","customer_id":%q}`, id))
		note("order", status)
	}
	after := read()
	for what := range after {
		after[what] -= before[what]
	}
	for _, service := range []string{"user", "billing", "instance"} {
		// Not their number: a call may come before the connection of the last one is back in its pool.
		opened, calls := after["connections of "+service], after["calls of "+service]
		delete(after, "connections of "+service)
		after["connection for each call of "+service] = 0
		if opened > calls/2 {
			after["connection for each call of "+service] = 1
		}
		after["breaker of "+service] = r.metric(service, "circuit_breaker_state")
		for what, metric := range map[string]string{"store connections kept by ": "go_sql_in_use_connections", "connections in use of ": "http_client_connections_in_use"} {
			after[what+service] = r.least(func() float64 { return r.metric(service, metric) })
		}
	}
	maps.Copy(after, statuses)
	return after
}

// blackhole listens and never accepts, with a queue that is full: a connection to it is neither made nor refused.
func blackhole(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	front, err := kit.Accepting(ln, kit.Knobs{Backlog: 1}, kit.NewMetrics())
	if err != nil {
		t.Skip(err)
	}
	for range 4 {
		c, err := net.DialTimeout("tcp", ln.Addr().String(), 100*time.Millisecond)
		if err != nil {
			break
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	return "http://" + front.Addr().String()
}

// lone runs one service whose downstream is elsewhere, under the rig's settings.
func lone(t *testing.T, service string, set map[string]string, downstreamURL string) *rig {
	t.Helper()
	c := &chain{url: map[string]string{}, stop: map[string]func() error{}, log: &lockedBuffer{}}
	merged := map[string]string{"hash_cost": "4"}
	for k, v := range set {
		merged[k] = v
	}
	c.start(t, Options{
		Service: service, Profile: "phase2", Set: merged, Dir: t.TempDir(), Downstream: map[string]string{downstream(service): downstreamURL},
	})
	return &rig{t: t, url: c.url, stop: c.stop, user: "somebody"}
}
