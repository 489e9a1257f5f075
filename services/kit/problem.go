package kit

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// Reply is a handler's answer; Body is written as JSON.
type Reply struct {
	Status int
	Body   any
}

// Problem is a refusal or failure as the caller sees it: {"success":false,"message":…,"errors":{field: what}}.
type Problem struct {
	Status     int
	Message    string
	Fields     map[string]string // by field, for 422
	RetryAfter int               // seconds; 0: no such header
	Cause      error             // for the log, never for the caller
}

func (p *Problem) Error() string {
	if p.Cause != nil {
		return p.Message + ": " + p.Cause.Error()
	}
	return p.Message
}

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// statusClientGone is what nginx logs for a client that went away; it is counted and never sent.
const statusClientGone = 499

// Unavailable is a 503 that asks the caller to come back.
func Unavailable(message string, cause error) *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Message: message, RetryAfter: 1, Cause: cause}
}

// Downstream turns the error of a Client into the Problem its caller gets: 503 where the call was not made or was
// refused for now, 502 where it failed.
func Downstream(message string, err error) *Problem {
	var busy *BusyError
	var open *OpenError
	var status *StatusError
	if errors.As(err, &busy) || errors.As(err, &open) || errors.As(err, &status) && status.Status == http.StatusServiceUnavailable {
		return Unavailable(message, err)
	}
	return &Problem{Status: http.StatusBadGateway, Message: message, Cause: err}
}

// problemOf finds the Problem in err; what is not one is nobody's business but the log's.
func problemOf(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, context.DeadlineExceeded):
		return &Problem{Status: http.StatusServiceUnavailable, Message: "took too long", RetryAfter: 1, Cause: err}
	default:
		return &Problem{Status: http.StatusInternalServerError, Message: "internal error", Cause: err}
	}
}

func (p *Problem) write(w http.ResponseWriter) {
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, p.Status, struct {
		Success bool              `json:"success"`
		Message string            `json:"message"`
		Errors  map[string]string `json:"errors,omitempty"`
	}{false, p.Message, p.Fields})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone; there is nobody to tell
}
