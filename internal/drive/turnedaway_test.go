package drive

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Only 429 and 503 that name a time are a limiter's refusal; every engine sees the header, whatever else it keeps of a head.
func TestARefusalWithRetryAfterIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		m := stub(t, func(w http.ResponseWriter, _ *http.Request) {
			switch n.Add(1) % 5 {
			case 0:
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusServiceUnavailable)
			case 1:
				w.Header().Set("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT")
				w.WriteHeader(http.StatusTooManyRequests)
			case 2:
				w.WriteHeader(http.StatusServiceUnavailable)
			case 3:
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		rec := recorder(get("/"))
		drive(t, t.Context(), engine(t, Config{dial: m.dial}), Load{Users: 3, Total: 100}, rec)
		o := rec.Outcomes()
		if o.OK != 20 || o.Failed != 80 || o.TurnedAway != 40 || o.Errors["status"] != 80 {
			t.Errorf("%+v, want 20 good, 80 failed and 40 of them turned away", o)
		}
	})
}
