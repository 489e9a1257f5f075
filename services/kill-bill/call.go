package killbill

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

const (
	headerCreatedBy = "X-Killbill-CreatedBy"
	headerAPIKey    = "X-Killbill-ApiKey"
	headerAPISecret = "X-Killbill-ApiSecret"

	bodyLimit = 1 << 20 // bytes of one request body

	// statusGone marks, in the metrics only, a call whose client left before it had a slot.
	statusGone = 499
)

// route is one resource method of Kill Bill.
type route struct {
	pattern    string // of http.ServeMux
	resource   string // path of the JAX-RS resource, as the timers name it
	method     string // name of the Java method, as the timers name it; empty where Kill Bill has no such method
	tenantless bool   // works without tenant keys
	handle     func(*call) reply
}

// call is one request on its way through Kill Bill.
type call struct {
	s        *Server
	r        *http.Request
	route    route
	ctx      context.Context // of the store: not ended by the client's going, as a servlet goes on too
	id       string          // {id} of the path, canonical
	body     []byte
	tenant   *tenant
	profile  *profile
	admitted time.Time // when it got its slot
}

// serve is the order of things in Kill Bill: Basic credentials, tenant headers, body, then (here) a slot, the tenant's
// secret, and the resource method. The slot is held until the modelled service time has passed, whether or not the
// client still waits; only a client that leaves the line before its turn costs nothing.
func (s *Server) serve(rt route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.basic(r) {
			w.Header().Set("WWW-Authenticate", `BASIC realm="application"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		c := &call{s: s, r: r, route: rt, ctx: context.WithoutCancel(r.Context()), profile: newProfile(r.Header.Get(headerProfileRequest))}
		if refused := c.prepare(w); refused != nil {
			refused.write(w)
			return
		}
		start := time.Now()
		end := c.profile.begin("JAXRS", strings.TrimPrefix(r.URL.Path, "/"))
		a, timed := c.run()
		end()
		if a.gone {
			s.counts.setStatus(w, statusGone)
			panic(http.ErrAbortHandler)
		}
		if timed {
			s.registry.timer(timerName(rt, r.Method, a.status)).update(time.Since(start))
		}
		if c.profile != nil {
			a.set(headerProfileResponse, c.profile.header())
		}
		a.write(w)
	}
}

// prepare makes the checks that need no slot and reads the body, so that a slow sender holds none.
func (c *call) prepare(w http.ResponseWriter) *reply {
	refuse := func(r reply) *reply { return &r }
	if raw := c.r.PathValue("id"); raw != "" {
		var ok bool
		if c.id, ok = parseUUID(raw); !ok {
			return refuse(noPage())
		}
	}
	if !c.route.tenantless && (c.r.Header.Get(headerAPIKey) == "" || c.r.Header.Get(headerAPISecret) == "") {
		return refuse(unauthorizedPage("Make sure to set the " + headerAPIKey + " and " + headerAPISecret + " headers"))
	}
	if c.r.Method != http.MethodPost || c.route.method == "" {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return refuse(page(http.StatusUnsupportedMediaType, "Unsupported Media Type", "The origin server is refusing to service the request because the payload is in a format not supported by this method on the target resource."))
	}
	var err error
	if c.body, err = io.ReadAll(http.MaxBytesReader(w, c.r.Body, bodyLimit)); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return refuse(page(http.StatusRequestEntityTooLarge, "", "The request is larger than the server is willing or able to process."))
		}
		return refuse(badJSON("core.JsonParseException", "body: %v", err).reply())
	}
	return nil
}

// run takes a slot, checks the tenant's secret and calls the resource method. timed is false for what Kill Bill refuses
// before its timers start.
func (c *call) run() (a reply, timed bool) {
	s := c.s
	if n := s.config.Refuse; n > 0 && s.asked.Add(1)%uint64(n) == 0 {
		s.counts.shed.WithLabelValues("planted").Inc()
		s.registry.shed.mark(1)
		return overCapacity(errFull{s.slots.servers, s.slots.limit}), true
	}
	if err := s.slots.acquire(c.r.Context()); err != nil {
		var full errFull
		if !errors.As(err, &full) {
			return reply{gone: true}, false
		}
		s.counts.shed.WithLabelValues("queue_full").Inc()
		s.registry.shed.mark(1)
		return overCapacity(full), true
	}
	defer s.slots.release()
	c.admitted = time.Now()
	if !c.route.tenantless {
		var refused *reply
		if c.tenant, refused = s.tenantOf(c.ctx, c.r.Header.Get(headerAPIKey), c.r.Header.Get(headerAPISecret)); refused != nil {
			return *refused, false
		}
	}
	return c.route.handle(c), c.route.method != ""
}

// basic checks the Basic credentials; both parts are compared whatever the first one gives.
func (s *Server) basic(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	want := base64.StdEncoding.EncodeToString([]byte(s.config.User)) + ":" + base64.StdEncoding.EncodeToString([]byte(s.config.Password))
	given := base64.StdEncoding.EncodeToString([]byte(user)) + ":" + base64.StdEncoding.EncodeToString([]byte(password))
	return subtle.ConstantTimeCompare([]byte(given), []byte(want)) == 1 && ok
}

// needCreatedBy refuses a write that does not say who makes it.
func (c *call) needCreatedBy() *failure {
	if len(c.r.Header.Values(headerCreatedBy)) == 0 {
		return illegal("Header %s needs to be set", headerCreatedBy)
	}
	return nil
}

// api times fn as Kill Bill's API layer.
func (c *call) api(fn func() *failure) *failure {
	defer c.profile.begin("API", c.route.method)()
	return fn()
}

// dao runs fn as one database operation that costs the given share of an account creation, or a lookup when it fails,
// and returns when that much time has passed since the call got its slot.
func (c *call) dao(name string, cost float64, fn func() *failure) *failure {
	defer c.profile.begin("DAO", name)()
	bad := fn()
	if bad != nil {
		cost = costLookup
	}
	c.s.hold(c.admitted, cost)
	return bad
}

// hold waits until the drawn service time has passed since start. This is the model of a remote database-bound system,
// not a stand-in for a fault; the hash model spends CPU instead and does not wait.
func (s *Server) hold(start time.Time, cost float64) {
	if s.config.Model != ModelSlots {
		return
	}
	t := time.NewTimer(s.service.draw(cost) - time.Since(start))
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.done:
	}
}
