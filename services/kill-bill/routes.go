package killbill

import (
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// kbRoutes are the resource methods, with the Java names their timers carry.
func kbRoutes() []route {
	const accounts, tenants, subscriptions = "/1.0/kb/accounts", "/1.0/kb/tenants", "/1.0/kb/subscriptions"
	return []route{
		{pattern: "POST " + tenants, resource: tenants, method: "createTenant", tenantless: true, handle: createTenant},
		{pattern: "GET " + tenants, resource: tenants, method: "getTenantByApiKey", handle: getTenant},
		{pattern: "GET " + tenants + "/{id}", resource: tenants, method: "getTenant", handle: getTenant},
		{pattern: "POST " + accounts, resource: accounts, method: "createAccount", handle: createAccount},
		{pattern: "GET " + accounts, resource: accounts, method: "getAccountByKey", handle: getAccountByKey},
		{pattern: "GET " + accounts + "/{id}", resource: accounts, method: "getAccount", handle: getAccount},
		{pattern: "DELETE " + accounts + "/{id}", resource: accounts, method: "closeAccount", handle: closeAccount},
		{pattern: "GET " + accounts + "/{id}/block", resource: accounts, method: "getBlockingStates", handle: getBlockingStates},
		{pattern: "POST " + accounts + "/{id}/tags", resource: accounts, method: "createAccountTags", handle: createTags},
		{pattern: "GET " + accounts + "/{id}/tags", resource: accounts, method: "getAccountTags", handle: getTags},
		{pattern: "POST " + subscriptions, resource: subscriptions, method: "createSubscription", handle: createSubscription},
		{pattern: "GET " + subscriptions + "/{id}", resource: subscriptions, method: "getSubscription", handle: getSubscription},
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range kbRoutes() {
		mux.HandleFunc(rt.pattern, s.serve(rt))
	}
	mux.HandleFunc("GET /1.0/healthcheck", s.healthcheck)
	mux.HandleFunc("GET /1.0/metrics", s.metrics)
	mux.HandleFunc("GET /1.0/threads", s.threads)
	mux.HandleFunc("GET /ready", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.counts.registry, promhttp.HandlerOpts{Registry: s.counts.registry}))
	mux.HandleFunc("/1.0/kb/", s.elsewhere(mux))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { noPage().write(w) })
	return s.counts.wrap(mux)
}

// elsewhere answers what Kill Bill has and the stand-in has not: 405 where another method would be served, else 404.
// Credentials come first here as well.
func (s *Server) elsewhere(mux *http.ServeMux) http.HandlerFunc {
	nothing := route{handle: func(c *call) reply {
		var allow []string
		for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodPost} {
			other := c.r.Clone(c.r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "/1.0/kb/" {
				allow = append(allow, method)
			}
		}
		if slices.Contains(allow, http.MethodGet) {
			allow = append(allow, http.MethodHead)
		}
		if len(allow) == 0 {
			return noPage()
		}
		a := page(http.StatusMethodNotAllowed, "", "The method received in the request-line is known by the origin server but not supported by the target resource.")
		a.set("Allow", strings.Join(allow, ","))
		return a
	}}
	return s.serve(nothing)
}
