package killbill

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Headers of Kill Bill's per-request profiling.
const (
	headerProfileRequest  = "X-Killbill-Profiling-Req"
	headerProfileResponse = "X-Killbill-Profiling-Resp"
)

// profile says where one call's time went, as a tree of spans. A nil profile ignores everything.
type profile struct {
	features []string
	root     []*span
	open     []*span
}

// span is one timed piece: "JAXRS:1.0/kb/accounts", "API:createAccount", "DAO:AccountSqlDao: create".
type span struct {
	Name     string  `json:"name"`
	Duration int64   `json:"durationUsec"`
	Calls    []*span `json:"calls,omitempty"` // Kill Bill leaves empty lists out
	start    time.Time
}

// newProfile reads the request header. As in Kill Bill, one unknown feature switches profiling off.
func newProfile(header string) *profile {
	if header == "" {
		return nil
	}
	features := strings.Split(strings.ReplaceAll(header, " ", ""), ",")
	for _, f := range features {
		if !slices.Contains([]string{"JAXRS", "API", "DAO", "DAO_DETAILS", "DAO_CONNECTION", "PLUGIN", "GLOCK", "TRANSACTION"}, f) {
			return nil
		}
	}
	return &profile{features: features}
}

// begin opens a span below the one that is open; call the result to end it.
func (p *profile) begin(feature, name string) (end func()) {
	if p == nil || !slices.Contains(p.features, feature) {
		return func() {}
	}
	s := &span{Name: feature + ":" + name, start: time.Now()}
	if n := len(p.open); n > 0 {
		p.open[n-1].Calls = append(p.open[n-1].Calls, s)
	} else {
		p.root = append(p.root, s)
	}
	p.open = append(p.open, s)
	return func() {
		s.Duration = time.Since(s.start).Microseconds()
		p.open = p.open[:len(p.open)-1]
	}
}

// header is the response header's value: {"rawData":[span…]}.
func (p *profile) header() string {
	root := p.root
	if root == nil {
		root = []*span{}
	}
	text, err := json.Marshal(map[string][]*span{"rawData": root})
	if err != nil {
		return "{}" // strings and integers: cannot happen
	}
	return string(text)
}
