package killbill

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// failure is a refusal as Kill Bill writes it: a status and the exception that caused it.
type failure struct {
	status     int
	Class      string  `json:"className"`
	Code       *int    `json:"code"`
	Message    string  `json:"message"`
	CauseClass *string `json:"causeClassName"`
	CauseText  *string `json:"causeMessage"`
	Stack      []any   `json:"stackTrace"`
}

func (f *failure) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.Class, f.Message) }

func (f *failure) reply() reply {
	f.Stack = []any{}
	body, err := json.Marshal(f)
	if err != nil { // strings and numbers only: cannot happen
		return reply{status: http.StatusInternalServerError}
	}
	return reply{status: f.status, body: body}
}

// Codes of org.killbill.billing.ErrorCode.
const (
	codeKeyTooLong    = 5
	codeAccountExists = 3000
	codeNoAccountID   = 3002
	codeNoAccountKey  = 3003
	codeNoTag         = 3902
	codeNoSub         = 1082
	codeTenantExists  = 20000
	codeNoTenantID    = 20001
	codeNoTenantKey   = 20003
)

func billing(status int, class string, code int, format string, args ...any) *failure {
	return &failure{status: status, Class: "org.killbill.billing." + class, Code: &code, Message: fmt.Sprintf(format, args...)}
}

func accountExists(key string) *failure {
	return billing(http.StatusConflict, "account.api.AccountApiException", codeAccountExists, "Account already exists for key %s", key)
}

func noAccountID(id string) *failure {
	return billing(http.StatusNotFound, "account.api.AccountApiException", codeNoAccountID, "Account does not exist for id %s", id)
}

func noAccountKey(key string) *failure {
	return billing(http.StatusNotFound, "account.api.AccountApiException", codeNoAccountKey, "Account does not exist for key %s", key)
}

// illegal is a bad argument: 400.
func illegal(format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, Class: "java.lang.IllegalArgumentException", Message: fmt.Sprintf(format, args...)}
}

// badJSON is a body Jackson cannot read or bind: 400.
func badJSON(class, format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, Class: "com.fasterxml.jackson." + class, Message: fmt.Sprintf(format, args...)}
}

// caused is a failure underneath: 500 with a RuntimeException around the real one.
func caused(class, message string) *failure {
	return &failure{
		status: http.StatusInternalServerError, Class: "java.lang.RuntimeException",
		Message: class + ": " + message, CauseClass: &class, CauseText: &message,
	}
}

// tooLong is what the database answers to a value that does not fit its column.
func tooLong(column string) *failure {
	return caused("java.sql.SQLDataException", fmt.Sprintf("Data too long for column '%s' at row 1", column))
}

// overCapacity is the refusal of the capacity model. It has a body on purpose: a client that returns without closing it
// keeps that connection for ever.
func overCapacity(err errFull) reply {
	f := failure{status: http.StatusServiceUnavailable, Class: "java.util.concurrent.RejectedExecutionException", Message: err.Error()}
	r := f.reply()
	r.set("Retry-After", "1")
	return r
}
