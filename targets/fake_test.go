//go:build unix

package targets

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/captest/captest/services"
)

// fakeLife bounds every process of these tests, should all else fail.
const fakeLife = 2 * time.Minute

// self is what a fake service says about itself at /self.
type self struct {
	PID, PGID  int
	Options    services.Options
	Env        []string
	Dir        string
	StdinEnds  bool
	DeathSig   int
	Grandchild int
}

// fakeService is a bundled service that does nothing but what its behaviours say: "billing:mute" is for billing only, "*:mute"
// for all.
func fakeService(args []string) int {
	var o services.Options
	if err := json.Unmarshal([]byte(os.Getenv(services.Env)), &o); err != nil {
		fmt.Fprintln(os.Stderr, "fake:", err)
		return 9
	}
	does := func(behaviour string) bool {
		return slices.Contains(args, o.Service+":"+behaviour) || slices.Contains(args, "*:"+behaviour)
	}
	time.AfterFunc(fakeLife, func() { os.Exit(8) })

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	gone := make(chan struct{})
	if !does("ignore-lifeline") {
		go func() {
			_, _ = os.NewFile(uintptr(o.LifelineFD), "lifeline").Read(make([]byte, 1))
			close(gone)
		}()
	}
	address := os.NewFile(uintptr(o.AddressFD), "address")
	fmt.Fprintln(os.Stderr, "fake", o.Service, "begins")

	switch {
	case does("exit"):
		fmt.Fprintln(os.Stderr, "fake: cannot open the store")
		return 3
	case does("mute"):
		<-gone
		return 0
	case does("closes-address"):
		address.Close()
		<-gone
		return 0
	case does("garbage"):
		fmt.Fprintln(address, "hello")
		<-gone
		return 0
	case does("liar"):
		fmt.Fprintln(address, `{"service":"`+o.Service+`","url":"http://192.0.2.1:80"}`)
		<-gone
		return 0
	case does("exit-second-time"):
		mark := o.Dir + "/second"
		if _, err := os.Stat(mark); err == nil {
			if does("stalls-second-time") {
				<-gone
				return 0
			}
			os.Remove(mark)
			return 4
		}
		_ = os.WriteFile(mark, nil, 0o600)
	}

	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake:", err)
		return 1
	}
	me := self{PID: os.Getpid(), PGID: syscall.Getpgrp(), Options: o, Env: os.Environ(), DeathSig: deathSignal()}
	me.Dir, _ = os.Getwd()
	n, err := os.Stdin.Read(make([]byte, 1))
	me.StdinEnds = n == 0 && err == io.EOF
	if does("grandchild") {
		child := exec.Command(os.Args[0], "fake-service", "*:mute", "*:ignore-lifeline")
		child.Env = []string{services.Env + `={"Service":"none"}`}
		child.Stdout, child.Stderr = os.Stdout, os.Stderr // holds the log pipe
		if err := child.Start(); err != nil {
			fmt.Fprintln(os.Stderr, "fake:", err)
			return 1
		}
		me.Grandchild = child.Process.Pid
	}
	var asked atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		if n := asked.Add(1); does("never-ready") || does("slow") && n <= 3 {
			http.Error(w, "store is being migrated", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/self", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(me) })
	go func() { _ = http.Serve(listener, mux) }()
	fmt.Fprintf(address, "{\"service\":%q,\"url\":\"http://%s\"}\n", o.Service, listener.Addr())

	if does("spam") {
		line := strings.Repeat("spam ", 200) + "\n"
		for range 2000 {
			fmt.Fprint(os.Stderr, line)
		}
		fmt.Fprintln(os.Stderr, "spam is over")
	}
	for {
		select {
		case <-gone:
			return 0
		case s := <-signals:
			fmt.Fprintln(os.Stderr, "fake", o.Service, "got", s)
			if !does("ignore-term") {
				return 0
			}
		}
	}
}

// fakeCaptest starts a stack in dir, prints the pids, and then ends in the given way.
func fakeCaptest(way, dir string, behaviours []string) int {
	time.AfterFunc(fakeLife, func() { os.Exit(8) })
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	serve := "fake-service"
	if slices.Contains(behaviours, "real") {
		serve = "serve-one"
	}
	s, err := StartStack(ctx, StackConfig{
		Profile: "before", Set: map[string]string{"hash_cost": "4"}, Dir: dir, Only: []string{"user"},
		StopTimeout: patience, Args: append([]string{serve}, behaviours...),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake captest:", err)
		return 1
	}
	if way != "forgets" {
		defer s.Stop(context.Background())
	}
	_ = json.NewEncoder(os.Stdout).Encode(s.PIDs())
	_, _ = os.Stdin.Read(make([]byte, 1)) // until told to go on
	switch way {
	case "waits":
		<-ctx.Done()
		return 0
	case "panics":
		panic("on purpose")
	case "panics-elsewhere":
		go panic("on purpose, where no deferred Stop runs")
		select {}
	}
	return 0
}
