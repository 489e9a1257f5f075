// Package services is what captest bundles to be tested: a registration stack that fails for real and heals knob by knob.
//
//	captest ──► user ──► billing ──► kill-bill
//	          instance ──► billing
//
// Each service runs as its own process (the captest binary re-executed). Nothing here knows about load, measurement or
// diagnosis: these are the patients, not the doctor.
package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	billingservice "github.com/captest/captest/services/billing-service"
	"github.com/captest/captest/services/kit"
)

// Env is the environment variable that holds the JSON of a child's Options.
const Env = "CAPTEST_SERVICE"

// Options say which service to run, under which knobs, and between which neighbours.
type Options struct {
	Service    string            `json:"service"`              // one of Names
	Listen     string            `json:"listen,omitempty"`     // host:port, "127.0.0.1:0" when empty; port 0 picks a free one
	Profile    string            `json:"profile"`              // one of Profiles
	Set        map[string]string `json:"set,omitempty"`        // knobs on top of the profile
	Dir        string            `json:"dir"`                  // where its SQLite file is
	Store      string            `json:"store,omitempty"`      // URL of a PostgreSQL database to use instead, see CheckStore
	Downstream map[string]string `json:"downstream,omitempty"` // base URLs: "billing" for user and instance, "kill-bill" for billing

	AddressFD  int `json:"address_fd,omitempty"`  // a pipe that gets one line of JSON (Address) when it listens; 0: none
	LifelineFD int `json:"lifeline_fd,omitempty"` // a pipe whose end means that the parent is gone: shut down; 0: none

	KillBill billingservice.Access `json:"-"` // Kill Bill's credentials; RunProcess takes them from KILLBILL_USER, …
	Log      io.Writer             `json:"-"` // JSON lines; nil: nothing is logged
	OnListen func(Address)         `json:"-"` // called when it listens; nil: nobody asks

	ownProcess bool // limits of the process may be set
}

// Address is the line on AddressFD.
type Address struct {
	Service string `json:"service"`
	URL     string `json:"url"`
}

// Names lists the services in the order they start.
func Names() []string { return []string{"kill-bill", "billing", "instance", "user"} }

// Postgres says whether the service keeps its rows in PostgreSQL.
func (o Options) Postgres() bool { return o.store().Postgres() }

func (o Options) store() kit.StoreConfig {
	return kit.StoreConfig{URL: o.Store, Dir: o.Dir, Name: o.Service}
}

// CheckStore says what is wrong with the URL of a store ("" and sqlite for files, or postgres://user@host:port/database),
// without connecting to it and without repeating a password.
func CheckStore(url string) error { return kit.CheckStore(url) }

// HoldsPassword says whether the URL of a store has a password in it; of one that CheckStore refuses, it may say so for nothing.
func HoldsPassword(url string) bool { return kit.HoldsPassword(url) }

// RunFromEnv runs the service that the JSON in Env describes, as RunProcess does.
func RunFromEnv(ctx context.Context, getenv func(string) string, log io.Writer) error {
	var o Options
	if err := json.Unmarshal([]byte(getenv(Env)), &o); err != nil {
		return fmt.Errorf("%s: %w", Env, err)
	}
	o.Log = log
	return RunProcess(ctx, o, getenv)
}

// RunProcess is Run for a process that does nothing else: only here the knob nofile holds, for the rest of its life. Kill
// Bill's credentials come from KILLBILL_USER, KILLBILL_PASSWORD, KILLBILL_API_KEY and KILLBILL_API_SECRET.
func RunProcess(ctx context.Context, o Options, getenv func(string) string) error {
	o.KillBill = billingservice.Access{
		User: getenv("KILLBILL_USER"), Password: getenv("KILLBILL_PASSWORD"),
		APIKey: getenv("KILLBILL_API_KEY"), APISecret: getenv("KILLBILL_API_SECRET"),
	}
	o.ownProcess = true
	return Run(ctx, o)
}

// Run serves one service until ctx is done or the parent is gone, then shuts it down as its knobs say. It returns nil
// on a clean stop.
func Run(ctx context.Context, o Options) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log := slog.New(slog.DiscardHandler)
	if o.Log != nil {
		log = slog.New(slog.NewJSONHandler(o.Log, nil)).With("service", o.Service)
	}
	if !slices.Contains(Names(), o.Service) {
		return &KnobError{Setting: "service=" + o.Service, Problem: "no such service", Meant: nearest(o.Service, Names())}
	}
	t, err := readTable(profilesFile)
	if err != nil {
		return err
	}
	set, err := t.resolve(o.Service, o.Profile, o.Set)
	if err != nil {
		return err
	}
	if n := set.number("nofile"); n > 0 && o.ownProcess {
		if err := kit.LimitFiles(n); err != nil {
			return err
		}
	}
	if n := set.number("memory_limit"); n > 0 && o.ownProcess {
		kit.LimitMemory(n)
	}
	logSettings(log, o, set)
	if o.LifelineFD > 0 {
		stop := watchLifeline(o.LifelineFD, cancel)
		defer stop()
	}
	listen := o.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("%s: listen on %s: %w", o.Service, listen, err)
	}
	defer func(ln net.Listener) { _ = ln.Close() }(ln) // Serve has closed it, unless it was never reached
	running, err := build(ctx, o, set, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.close()) }()
	if running.accepting != nil {
		if ln, err = running.accepting(ln); err != nil {
			return fmt.Errorf("%s: %w", o.Service, err)
		}
	}
	url := "http://" + ln.Addr().String()
	log.Info("listening", "url", url)
	if o.OnListen != nil {
		o.OnListen(Address{o.Service, url})
	}
	if o.AddressFD > 0 {
		if err := tellAddress(o.AddressFD, Address{o.Service, url}); err != nil {
			return err
		}
	}
	graceful := set["shutdown"] != kit.Abrupt // Kill Bill's stand-in has no such knob and is always graceful
	patience := set.span("shutdown_timeout")
	if patience == 0 {
		patience = 5 * time.Second
	}
	began := time.Now()
	err = kit.Serve(ctx, ln, kit.ServeConfig{
		Handler: kit.NewFaults(1).Wrap(running.handler), Loops: running.loops, Drain: running.drain,
		IdleTimeout: set.span("idle_timeout"), Graceful: graceful, ShutdownTimeout: patience, Log: log,
	})
	log.Info("stopped", "graceful", graceful, "served_seconds", time.Since(began).Seconds())
	return err
}

// logSettings writes the one line that says under what a service runs.
func logSettings(log *slog.Logger, o Options, set settings) {
	attrs := []any{"profile", o.Profile, "store", o.store().String()}
	if f := o.Set[faultKey]; f != "" {
		attrs = append(attrs, faultKey, f)
	}
	for _, name := range sortedNames(set) {
		attrs = append(attrs, name, set[name])
	}
	for _, name := range []string{"nofile", "memory_limit"} {
		if set.number(name) > 0 && !o.ownProcess {
			attrs = append(attrs, "note", name+" is not in force: it needs a process of its own")
		}
	}
	log.Info("knobs", attrs...)
}
