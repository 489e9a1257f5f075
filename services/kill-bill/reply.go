package killbill

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
)

// reply is what a call answers, complete before the first byte is written, so that the modelled service time can pass
// while the slot is still held.
type reply struct {
	status int
	header http.Header // nil: only the content type
	body   []byte
	gone   bool // the client left: nothing is written
}

func (r *reply) set(key, value string) {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(key, value)
}

func (r reply) write(w http.ResponseWriter) {
	for k, v := range r.header {
		w.Header()[k] = v
	}
	if r.header.Get("Content-Type") == "" && (len(r.body) > 0 || r.status == http.StatusCreated) {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body)
}

// found answers 200 with v as JSON.
func found(v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		return caused("com.fasterxml.jackson.databind.JsonMappingException", err.Error()).reply()
	}
	return reply{status: http.StatusOK, body: body}
}

// created answers 201 with an absolute Location and no body.
func created(r *http.Request, path string) reply {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	a := reply{status: http.StatusCreated}
	a.set("Location", scheme+"://"+r.Host+path)
	return a
}

// page is an error page of the servlet container, for what never reaches Kill Bill's own code.
func page(status int, message, description string) reply {
	title := fmt.Sprintf("HTTP Status %d – %s", status, http.StatusText(status))
	if message != "" {
		message = "<p><b>Message</b> " + html.EscapeString(message) + "</p>"
	}
	r := reply{status: status, body: []byte(`<!doctype html><html lang="en"><head><title>` + title + `</title></head><body><h1>` + title +
		`</h1><hr class="line" /><p><b>Type</b> Status Report</p>` + message + `<p><b>Description</b> ` + html.EscapeString(description) +
		`</p><hr class="line" /><h3>Apache Tomcat</h3></body></html>`)}
	r.set("Content-Type", "text/html;charset=utf-8")
	r.set("Content-Language", "en")
	return r
}

func noPage() reply {
	return page(http.StatusNotFound, "", "The origin server did not find a current representation for the target resource or is not willing to disclose that one exists.")
}

func unauthorizedPage(message string) reply {
	return page(http.StatusUnauthorized, message, "The request has not been applied to the target resource because it lacks valid authentication credentials for that resource.")
}
