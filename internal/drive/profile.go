package drive

import (
	"encoding/json"
	"strings"
)

// Kill Bill's profiling of single requests: asked for by a header, answered by one. Source: reference services, 5; Kill Bill's
// ProfilingFeature and ProfilingData.
const (
	kindKillBill    = "kill-bill" // of a target's service
	profileRequest  = "X-Killbill-Profiling-Req"
	profileAnswer   = "X-Killbill-Profiling-Resp"
	profileFeatures = "JAXRS,API,DAO"
)

// Bounds of an answer that is believed: it comes from whatever answers at that address.
const (
	profileMax      = 64 << 10 // bytes
	profileDepth    = 64
	profileSpans    = 10_000
	profileLongestS = 3600
)

// profileSpan is one timed piece of a request.
type profileSpan struct {
	Name     string        `json:"name"`
	Duration int64         `json:"durationUsec"`
	Calls    []profileSpan `json:"calls"`
}

// parseProfile reads {"rawData":[{"name","durationUsec","calls":[…]},…]}: how long the request took by Kill Bill's own account,
// and how much of it its database calls ("DAO:…") did, both in ms. false for anything that is not such a tree.
func parseProfile(text string) (totalMs, databaseMs float64, ok bool) {
	if text == "" || len(text) > profileMax {
		return 0, 0, false
	}
	var tree struct {
		RawData []profileSpan `json:"rawData"`
	}
	if json.Unmarshal([]byte(text), &tree) != nil || len(tree.RawData) == 0 {
		return 0, 0, false
	}
	left := profileSpans
	for i := range tree.RawData {
		s := &tree.RawData[i]
		inDatabase, fine := s.database(&left, profileDepth)
		if !fine {
			return 0, 0, false
		}
		totalMs, databaseMs = totalMs+float64(s.Duration)/1000, databaseMs+inDatabase
	}
	return totalMs, databaseMs, totalMs > 0 && totalMs <= 1000*profileLongestS && databaseMs <= 1.1*totalMs+1
}

// database gives what database calls took in a span and below it; those within another are in it already.
func (s *profileSpan) database(left *int, depth int) (ms float64, ok bool) {
	*left--
	if *left < 0 || depth == 0 || s.Duration < 0 || s.Duration > 1e6*profileLongestS {
		return 0, false
	}
	for i := range s.Calls {
		below, fine := s.Calls[i].database(left, depth-1)
		if !fine {
			return 0, false
		}
		ms += below
	}
	if strings.HasPrefix(s.Name, "DAO:") {
		ms = float64(s.Duration) / 1000
	}
	return ms, true
}
