package services

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestShutdownFinishesOrCutsOffWhatWasAccepted(t *testing.T) {
	for _, how := range []string{"graceful", "abrupt"} {
		t.Run(how, func(t *testing.T) {
			c := startChain(t, "phase2", map[string]string{"user.shutdown": how, "kill-bill.service_time": "500ms", "kill-bill.service_cv": "0.01"})
			statuses := make(chan int, 3)
			var wg sync.WaitGroup
			for i := range 3 {
				wg.Go(func() {
					resp, err := http.Post(c.url["user"]+"/auth/register", "application/json", strings.NewReader(registration(fmt.Sprintf("%d@load.example", i))))
					if err != nil {
						statuses <- 0
						return
					}
					_ = resp.Body.Close()
					statuses <- resp.StatusCode
				})
			}
			waitForMetric(t, c.url["billing"], "http_requests_in_progress 3")
			if err := c.stop["user"](); err != nil {
				t.Errorf("stop: %v", err)
			}
			wg.Wait()
			want := http.StatusCreated
			if how == "abrupt" {
				want = 0
			}
			for range 3 {
				if got := <-statuses; got != want {
					t.Errorf("a registration under way got %d, want %d", got, want)
				}
			}
		})
	}
}

func waitForMetric(t *testing.T, url, line string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if text := scrape(t, url); strings.Contains(text, "\n"+line+"\n") {
			return
		}
	}
	t.Fatalf("%s never showed %s", url, line)
}

func TestACuredStackLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	c := startChain(t, "phase3", nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond) // clients that go in the middle of things
	defer cancel()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(ctx, "POST", c.url["user"]+"/auth/register", strings.NewReader(registration(fmt.Sprintf("gone%d@load.example", i))))
			if err != nil {
				t.Error(err)
				return
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
	for i := range 10 {
		if status, _, answer := ask(t, "POST", c.url["user"]+"/auth/register", registration(fmt.Sprintf("%d@load.example", i))); status != 201 {
			t.Errorf("register: %d %v", status, answer)
		}
	}
	waitForMetric(t, c.url["user"], "http_requests_in_progress 0")
	for _, line := range []string{`http_client_connections_in_use{downstream="billing"} 0`, `go_sql_in_use_connections{db_name="user"} 0`} {
		waitForMetric(t, c.url["user"], line)
	}
	http.DefaultClient.CloseIdleConnections() // a shutdown gives connections that never carried a request five seconds
	for _, name := range []string{"user", "instance", "billing", "kill-bill"} {
		if err := c.stop[name](); err != nil {
			t.Errorf("stop %s: %v", name, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, before)
}
