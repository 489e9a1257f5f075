package services

import (
	"strconv"
	"time"

	killbill "github.com/captest/captest/services/kill-bill"
	"github.com/captest/captest/services/kit"
)

// number of a checked knob; words such as none and cpus are 0, and so is a knob the service does not have.
func (s settings) number(name string) int {
	n, _ := strconv.Atoi(s[name])
	return n
}

// span of a checked knob; none is 0.
func (s settings) span(name string) time.Duration {
	d, _ := time.ParseDuration(s[name])
	return d
}

// kit turns checked settings into what the services are made from.
func (s settings) kit() kit.Knobs {
	return kit.Knobs{
		Workers:         s.number("workers"),
		Hash:            s["hash"],
		HashCost:        s.number("hash_cost"),
		HashPool:        s.number("hash_pool"),
		HashQueue:       s.number("hash_queue"),
		Client:          s["client"],
		ClientBuild:     s.span("client_build"),
		MaxConnections:  s.number("max_connections"),
		Keepalive:       s.number("keepalive"),
		KeepaliveExpiry: s.span("keepalive_expiry"),
		ConnectTimeout:  s.span("connect_timeout"),
		ReadTimeout:     s.span("read_timeout"),
		WriteTimeout:    s.span("write_timeout"),
		PoolTimeout:     s.span("pool_timeout"),
		Semaphore:       s.number("semaphore"),
		SemaphoreWait:   s.span("semaphore_wait"),
		ErrorPath:       s["error_path"],
		Retries:         s.number("retries"),
		Undo:            s["undo"],
		Admission:       s.number("admission"),
		Abandoned:       s["abandoned"],
		Breaker:         s.number("breaker"),
		BreakerOpen:     s.span("breaker_open"),
		IdleTimeout:     s.span("idle_timeout"),
		Shutdown:        s["shutdown"],
		ShutdownTimeout: s.span("shutdown_timeout"),
		HotLock:         s.span("hot_lock"),
		RequestMemory:   s.number("request_memory"),
		MemoryLimit:     s.number("memory_limit"),
		Backlog:         s.number("backlog"),
		AcceptDelay:     s.span("accept_delay"),
		KillBillCalls:   s.number("kill_bill_calls"),
		Settle:          s.span("settle_after"),
		DBPool:          s.number("db_pool"),
		Session:         s["session"],
		NoFile:          s.number("nofile"),
	}
}

// killBill turns checked settings into the stand-in's configuration.
func (s settings) killBill() killbill.Config {
	cv, _ := strconv.ParseFloat(s["service_cv"], 64)
	return killbill.Config{
		Model: s["model"], Slots: s.number("slots"), ServiceTime: s.span("service_time"), CV: cv,
		Queue: s.number("queue"), Refuse: s.number("refuse"), HashRounds: s.number("hash_rounds"), DBPool: s.number("db_pool"),
	}
}
