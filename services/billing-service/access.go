package billingservice

import (
	"encoding/base64"
	"log/slog"
	"net/http"
)

// Access is what Kill Bill wants to see. Empty fields take Kill Bill's own defaults. It is never logged.
type Access struct {
	User, Password    string // Basic; admin, password
	APIKey, APISecret string // of the tenant; bob, lazar
}

// LogValue keeps the credentials out of any log.
func (Access) LogValue() slog.Value { return slog.StringValue("(not shown)") }

// String keeps them out of anything printed.
func (Access) String() string { return "(not shown)" }

// GoString keeps them out of %#v as well.
func (Access) GoString() string { return "(not shown)" }

func (a Access) withDefaults() Access {
	for field, value := range map[*string]string{&a.User: "admin", &a.Password: "password", &a.APIKey: "bob", &a.APISecret: "lazar"} {
		if *field == "" {
			*field = value
		}
	}
	return a
}

// headers of every call but the one that makes the tenant, which Kill Bill would refuse to take keys on.
func (a Access) headers() http.Header {
	h := a.basic()
	h["X-Killbill-Apikey"] = []string{a.APIKey}
	h["X-Killbill-Apisecret"] = []string{a.APISecret}
	return h
}

func (a Access) basic() http.Header {
	return http.Header{
		"Authorization":        {"Basic " + base64.StdEncoding.EncodeToString([]byte(a.User+":"+a.Password))},
		"Content-Type":         {"application/json"},
		"Accept":               {"application/json"},
		"X-Killbill-Createdby": {"billing-service"},
	}
}
