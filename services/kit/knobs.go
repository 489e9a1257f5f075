package kit

import "time"

// Words a knob may hold.
const (
	OnLoop     = "loop"
	InPool     = "pool"
	PerRequest = "per-request"
	ForRequest = "request"
	Pooled     = "pooled"
	Leaks      = "leaks"
	Closes     = "closes"
	Continues  = "continues"
	Cancelled  = "cancelled"
	Graceful   = "graceful"
	Abrupt     = "abrupt"
)

// Knobs are the settings one service runs under, checked and resolved. A number or duration that is 0 means "none".
type Knobs struct {
	Workers int // event loops; 0: plain goroutines

	Hash      string // OnLoop or InPool
	HashCost  int    // bcrypt cost
	HashPool  int    // bcrypt at a time; 0: as many as GOMAXPROCS
	HashQueue int    // hashes waiting for the pool before they are refused; 0: no bound

	Client          string        // PerRequest or Pooled
	ClientBuild     time.Duration // what making a client takes of the event loop; 0: nothing
	MaxConnections  int           // per downstream; 0: no bound
	Keepalive       int           // idle connections kept per downstream
	KeepaliveExpiry time.Duration
	ConnectTimeout  time.Duration
	ReadTimeout     time.Duration
	WriteTimeout    time.Duration
	PoolTimeout     time.Duration // wait for a connection of the pool
	Semaphore       int           // calls at a time to each downstream; 0: no bound
	SemaphoreWait   time.Duration // how long a call waits for its turn
	ErrorPath       string        // Leaks or Closes: the connection of an error answer
	Retries         int           // times a failed call is repeated at once; 0: never
	Undo            string        // Leaks or Closes: the store connection that undid a failed registration

	Admission       int    // requests in flight before more are shed; 0: no bound
	Abandoned       string // Continues or Cancelled
	Breaker         int    // failures in a row that open the breaker; 0: no breaker
	BreakerOpen     time.Duration
	IdleTimeout     time.Duration // how long an idle connection of a caller is kept
	Shutdown        string        // Graceful or Abrupt
	ShutdownTimeout time.Duration // how long a graceful shutdown waits for requests in flight

	HotLock       time.Duration // how long each request holds the one lock all share; 0: there is none
	RequestMemory int           // MiB each request keeps alive; 0: none
	MemoryLimit   int           // of the process, MiB; 0: none
	Backlog       int           // connections waiting to be accepted; 0: the system's maximum
	AcceptDelay   time.Duration // what the accept loop spends on each connection; 0: nothing

	KillBillCalls int           // Kill Bill calls per account: 4 or 2
	Settle        time.Duration // age at which something half done is left behind; see SettleAfter
	DBPool        int           // connections to the store
	Session       string        // ForRequest, or statement: how long a request keeps its store connection
	NoFile        int           // descriptor limit, soft and hard; 0: as inherited
}
