package killbill

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// Capacity models.
const (
	// ModelSlots holds one of Slots servers for a log-normal service time: a remote, database-bound system.
	ModelSlots = "slots"
	// ModelHash spends real CPU instead: HashRounds rounds of SHA-512 on the tenant's secret in each authenticated call.
	ModelHash = "hash"
)

// Config is what one stand-in is made of. Zero values mean the defaults named beside them.
type Config struct {
	Dir   string       // folder of the SQLite file, made when missing; required
	Store string       // URL of a PostgreSQL database to use instead, see kit.StoreConfig
	Log   *slog.Logger // nil: nothing is logged

	Model       string        // ModelSlots
	Slots       int           // calls in service at once: 27
	ServiceTime time.Duration // slots model: mean time an account creation holds its slot: 200 ms
	CV          float64       // slots model: coefficient of variation of the service time: 0.3
	Queue       int           // calls that may wait for a slot before the next one is refused with 503: 100
	Refuse      int           // one call in so many is refused with 503, whatever the load: 0, none is
	HashRounds  int           // hash model: SHA-512 rounds per authenticated call: 200,000 (shiroNbHashIterations)

	User, Password    string // Basic credentials: admin, password
	APIKey, APISecret string // default tenant: bob, lazar

	Seed   uint64 // of the service times
	DBPool int    // connections to the store: 4
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	fill(&c.Model, ModelSlots)
	fill(&c.Slots, 27)
	fill(&c.ServiceTime, 200*time.Millisecond)
	fill(&c.CV, 0.3)
	fill(&c.Queue, 100)
	fill(&c.HashRounds, 200_000)
	fill(&c.User, "admin")
	fill(&c.Password, "password")
	fill(&c.APIKey, "bob")
	fill(&c.APISecret, "lazar")
	fill(&c.DBPool, 4)
	return c
}

// fill sets *v to def where the caller gave nothing.
func fill[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// check reports every impossible setting at once.
func (c Config) check() error {
	var wrong []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	bad(c.Model == ModelSlots || c.Model == ModelHash, "model %q: want %s or %s", c.Model, ModelSlots, ModelHash)
	bad(c.Slots > 0 && c.Slots <= 100_000, "slots %d: want 1 to 100000", c.Slots)
	bad(c.Queue > 0 && c.Queue <= 1_000_000, "queue %d: want 1 to 1000000", c.Queue)
	bad(c.Refuse == 0 || c.Refuse > 1 && c.Refuse <= 1_000_000, "refuse %d: want 0 or 2 to 1000000", c.Refuse)
	bad(c.ServiceTime > 0 && c.ServiceTime <= time.Minute, "service time %v: want more than 0 and at most 1m", c.ServiceTime)
	bad(c.CV > 0 && c.CV <= 10 && !math.IsNaN(c.CV), "cv %v: want more than 0 and at most 10", c.CV)
	bad(c.HashRounds > 0 && c.HashRounds <= 100_000_000, "hash rounds %d: want 1 to 100000000", c.HashRounds)
	bad(c.DBPool > 0 && c.DBPool <= 1000, "database pool %d: want 1 to 1000", c.DBPool)
	return errors.Join(wrong...)
}

// rounds is how often a tenant's secret is hashed to check it. Outside the hash model it is once, as Kill Bill's own
// documentation advises where that is safe, so that credentials do not cost the machine what the slots already model.
func (c Config) rounds() int {
	if c.Model == ModelHash {
		return c.HashRounds
	}
	return 1
}
