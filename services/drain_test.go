package services

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// SIGTERM under load: what was accepted is answered, the rest is refused at the door, and the process exits 0 in time.
func TestSIGTERMUnderLoadFinishesWhatWasAccepted(t *testing.T) {
	const inFlight = 8
	slow := `{"faults":[{"kind":"delay","delay":"1s","paths":["%s"]}]}`
	for _, c := range []struct {
		service string
		behind  string // the downstream that is made slow, and where
		path    string
		ask     func(i int, customer string) (path, body string)
		want    int
	}{
		{"user", "billing", "/api/billing/accounts", func(i int, _ string) (string, string) {
			return "/auth/register", registration(fmt.Sprintf("sigterm%d@load.example", i))
		}, http.StatusCreated},
		{"billing", "kill-bill", "/1.0/kb/accounts", func(i int, _ string) (string, string) {
			return "/api/billing/accounts/", fmt.Sprintf(`{"customer_id":"sigterm%d","email":"e@load.example","name":"n"}`, i)
		}, http.StatusOK},
		{"instance", "billing", "/api/billing/accounts", func(_ int, customer string) (string, string) {
			return "/api/v1/instances/", fmt.Sprintf(`{"name":"one","customer_id":%q}`, customer)
		}, http.StatusCreated},
		{"kill-bill", "", "", func(i int, _ string) (string, string) {
			return "/1.0/kb/accounts", fmt.Sprintf(`{"externalKey":"sigterm%d","currency":"USD"}`, i)
		}, http.StatusCreated},
	} {
		t.Run(c.service, func(t *testing.T) {
			set := map[string]string{"hash_cost": "4", "kill-bill.service_time": "20ms"}
			if c.behind == "" {
				set = map[string]string{"hash_cost": "4", "kill-bill.service_time": "1s", "kill-bill.service_cv": "0.01"}
			}
			s := startStack(t, "phase2", set)
			_, _, made := ask(t, "POST", s.url("user")+"/auth/register", registration(c.service+"@load.example"))
			customer := made["customer"].(map[string]any)["id"].(string)
			if c.behind != "" {
				setFaults(t, s.url(c.behind), fmt.Sprintf(slow, c.path))
			}
			url := s.url(c.service)
			statuses := make(chan int, inFlight)
			for i := range inFlight {
				path, body := c.ask(i, customer)
				go func() { statuses <- post(url+path, body) }()
			}
			if c.behind != "" {
				waitForMetric(t, url, fmt.Sprintf("http_requests_in_progress %d", inFlight))
			} else {
				waitForMetric(t, url, fmt.Sprintf("capacity_busy %d", inFlight))
			}

			signalled := time.Now()
			if err := s.process[c.service].Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			var late sync.WaitGroup
			stop := make(chan struct{})
			late.Go(func() { // newcomers while it drains
				for i := inFlight; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(20 * time.Millisecond):
					}
					path, body := c.ask(i, customer)
					if status := post(url+path, body); status != 0 && status != c.want {
						t.Errorf("a newcomer during the shutdown got %d: neither served nor refused", status)
					}
				}
			})
			for range inFlight {
				if got := <-statuses; got != c.want {
					t.Errorf("accepted before SIGTERM and answered %d, want %d", got, c.want)
				}
			}
			if err := s.process[c.service].Wait(); err != nil {
				t.Errorf("exit: %v\n%s", err, s.process[c.service].log)
			}
			if took := time.Since(signalled); took > 10*time.Second {
				t.Errorf("took %s, with a deadline of 10 s", took)
			}
			close(stop)
			late.Wait()
			if status := post(url+"/auth/register", "{}"); status != 0 {
				t.Errorf("after its end it still answers %d", status)
			}
		})
	}
}

// post sends JSON with Kill Bill's credentials on a connection of its own; 0 for no answer.
func post(url, body string) int {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.Contains(url, "/1.0/kb/") {
		req.SetBasicAuth("admin", "password")
		req.Header.Set("X-Killbill-ApiKey", "bob")
		req.Header.Set("X-Killbill-ApiSecret", "lazar")
		req.Header.Set("X-Killbill-CreatedBy", "test")
	}
	resp, err := fresh(20 * time.Second).Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
