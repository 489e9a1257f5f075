package scenarios

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/captest/captest/internal/schedule"
	"github.com/captest/captest/internal/yamlfile"
)

// Bounds of a load in a file: past these a number is a slip of the finger.
const (
	usersMax  = 100_000
	totalMax  = 1_000_000_000
	rateMax   = 1_000_000 // per second
	forMin    = 100 * time.Millisecond
	forMax    = 7 * 24 * time.Hour
	stagesMax = 1000
)

// ParseRate reads "50/s", "600/min" or "7200/h" and gives arrivals per second.
func ParseRate(text string) (perSec float64, err error) {
	number, unit, ok := strings.Cut(strings.TrimSpace(text), "/")
	if !ok {
		return 0, fmt.Errorf("%q is not a rate: write 50/s or 600/min", text)
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	factor, known := perSecond("/" + strings.TrimSpace(unit))
	if err != nil || !known || math.IsNaN(n) {
		return 0, fmt.Errorf("%q is not a rate: write 50/s or 600/min", text)
	}
	if n < 0 || n*factor > rateMax {
		return 0, fmt.Errorf("rate %q is not between 0 and %d/s", text, rateMax)
	}
	return n * factor, nil
}

// readRate reads a rate; zero only where a stage may go down to it.
func readRate(v yamlfile.Value, zero bool) float64 {
	text, ok := v.Scalar()
	if !ok {
		return 0
	}
	if v.Kind() == yamlfile.Number {
		v.Errorf("needs a unit: %s/s or %s/min", text, text)
		return 0
	}
	rate, err := ParseRate(text)
	switch {
	case err != nil:
		v.Errorf("%v", err)
	case rate == 0 && !zero:
		v.Errorf("a rate of 0 sends nothing")
	}
	return rate
}

// readLoad reads one of
//
//	{users: 20, total: 100}   {users: 20, for: 1m}   {rate: 50/s, for: 1m, arrivals: poisson}   {stages: […]}
func readLoad(v yamlfile.Value) *FixedLoad {
	m, ok := v.Map()
	if !ok {
		return nil
	}
	l := &FixedLoad{}
	if n, ok := m.Int("users", 1, usersMax); ok {
		l.Users = int(n)
	}
	if n, ok := m.Int("total", 1, totalMax); ok {
		l.Total = uint64(n)
	}
	if rate, ok := m.Get("rate"); ok {
		l.Rate = readRate(rate, false)
	}
	l.For, _ = m.Duration("for", forMin, forMax)
	if a, ok := m.Get("arrivals"); ok {
		l.Arrivals, _ = a.OneOf(string(schedule.Constant), string(schedule.Slotted), string(schedule.Poisson))
	}
	if stages, ok := m.Get("stages"); ok {
		l.Stages = readStages(stages)
	}
	m.Done()
	checkLoad(m, l)
	return l
}

// checkLoad reports fields that contradict each other or miss their partner.
func checkLoad(m *yamlfile.Map, l *FixedLoad) {
	against := func(field, other string) bool {
		if m.Has(field) && m.Has(other) {
			m.Key(other).Errorf("%s and %s contradict each other", field, other)
			return true
		}
		return false
	}
	switch {
	case m.Has("stages"):
		for _, other := range []string{"users", "total", "rate", "for"} {
			against("stages", other)
		}
		closed := slices.ContainsFunc(l.Stages, func(s LoadStage) bool { return s.Users > 0 })
		if m.Has("arrivals") && closed {
			m.Key("arrivals").Errorf("arrivals belong to a rate; users send when they are free")
		}
	case m.Has("rate"):
		users, total := against("rate", "users"), against("rate", "total")
		if !users && !total && !m.Has("for") {
			m.Errorf(`a rate needs how long: {rate: 50/s, for: 1m}`)
		}
	case m.Has("users"):
		if m.Has("arrivals") {
			m.Key("arrivals").Errorf("arrivals belong to a rate; users send when they are free")
		}
		if !against("total", "for") && !m.Has("total") && !m.Has("for") {
			m.Errorf("users need how many journeys or how long: {users: 20, total: 100} or {users: 20, for: 1m}")
		}
		if l.Total > 0 && l.Total < uint64(l.Users) {
			m.Key("total").Errorf("%d journeys are too few for %d users", l.Total, l.Users)
		}
	default:
		m.Errorf("load needs users, rate or stages")
	}
}

func readStages(v yamlfile.Value) []LoadStage {
	list, ok := v.List()
	if !ok {
		return nil
	}
	if len(list) == 0 || len(list) > stagesMax {
		v.Errorf("stages are 1 to %d", stagesMax)
		return nil
	}
	stages := make([]LoadStage, 0, len(list))
	something, firstClosed := false, false
	for _, item := range list {
		m, ok := item.Map()
		if !ok {
			continue
		}
		var s LoadStage
		if n, ok := m.Int("users", 0, usersMax); ok {
			s.Users = int(n)
		}
		if rate, ok := m.Get("rate"); ok {
			s.Rate = readRate(rate, true)
		}
		if d, ok := m.Need("for"); ok {
			s.For, _ = d.Duration(forMin, forMax)
		}
		m.Done()
		closed := m.Has("users")
		if len(stages) == 0 {
			firstClosed = closed
		}
		switch {
		case m.Has("users") == m.Has("rate"):
			m.Errorf("a stage has users or a rate: {users: 20, for: 30s} or {rate: 50/s, for: 30s}")
		case closed != firstClosed:
			m.Errorf("stages count users or set a rate, not both by turns")
		}
		something = something || s.Users > 0 || s.Rate > 0
		stages = append(stages, s)
	}
	if !something {
		v.Errorf("no stage sends anything")
	}
	return stages
}
