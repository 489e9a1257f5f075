package services

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/captest/captest/services/kit"
)

// The faults of each hop are put in, shown and taken away while the service has all the requests it may have.
func TestFaultsAreControlledAtEveryServiceAlsoWhenItIsFull(t *testing.T) {
	r := startRig(t, map[string]string{"admission": "1", "kill-bill.slots": "1", "kill-bill.queue": "1", "kill-bill.service_time": "1s"}, true)
	for _, service := range Names() {
		t.Run(service, func(t *testing.T) {
			r.t = t
			var done []<-chan int
			for range 4 { // one or two are served, the others refused
				done = append(done, r.start(t.Context(), service))
			}
			url := r.url[service] + kit.FaultsPath
			status, _, answer := ask(t, http.MethodPut, url, `{"faults":[{"kind":"error","status":418,"paths":["/health","/1.0/healthcheck"],"for":"1m"}]}`)
			if status != http.StatusOK {
				t.Errorf("put: %d %v", status, answer)
			}
			health := r.url[service] + "/health"
			if service == "kill-bill" {
				health = r.url[service] + "/1.0/healthcheck"
			}
			if status, _, _ := ask(t, http.MethodGet, health, ""); status != http.StatusTeapot {
				t.Errorf("with the fault in force: %d", status)
			}
			if status, _, answer := ask(t, http.MethodGet, url, ""); status != http.StatusOK || !strings.Contains(fmt.Sprint(answer), "hits:1") {
				t.Errorf("get: %d %v", status, answer)
			}
			if status, _, _ := ask(t, http.MethodDelete, url, ""); status != http.StatusOK {
				t.Errorf("delete: %d", status)
			}
			if status, _, _ := ask(t, http.MethodGet, health, ""); status != http.StatusOK {
				t.Errorf("after it was taken away: %d", status)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "rebound.example"
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("under the name of somebody else: %d", resp.StatusCode)
			}
			answered(done, patience)
		})
	}
}
