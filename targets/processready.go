package targets

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const (
	addressBytes = 4 << 10
	readyEvery   = 50 * time.Millisecond
	readyTry     = 2 * time.Second // per request
)

// listening waits for the line with the address and gives the base URL.
func (p *process) listening(ctx context.Context) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = p.address.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(p.address, addressBytes)).ReadString('\n')
	if err != nil {
		if ctx.Err() != nil {
			return "", errors.New("it has not said where it listens")
		}
		// The pipe ended. Usually the process did too, and how it ended says more.
		select {
		case <-p.done:
			return "", errors.New("exited before it was listening: " + p.how)
		case <-ctx.Done():
		case <-time.After(drainWait + time.Second):
		}
		return "", errors.New("closed the address pipe without saying where it listens")
	}
	var said struct{ Service, URL string }
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		return "", fmt.Errorf("said where it listens in an unknown way (%.100q): %w", line, err)
	}
	if said.Service != p.service {
		return "", fmt.Errorf("said that it is %.100q", said.Service)
	}
	u, err := url.Parse(said.URL)
	if err != nil {
		return "", fmt.Errorf("said that it listens at no URL: %w", err)
	}
	at, err := netip.ParseAddrPort(u.Host)
	if err != nil || u.Scheme != "http" || !at.Addr().IsLoopback() || at.Port() == 0 {
		return "", fmt.Errorf("said that it listens at %.100q, which is no http address on loopback", said.URL)
	}
	return "http://" + at.String(), nil
}

// ready polls /ready until it answers 200. When ctx is done before, the error is the last answer.
func (p *process) ready(ctx context.Context, base string) error {
	client := onceClient(&http.Transport{})
	client.Timeout = readyTry
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	var last error // that a try was still under way at the deadline says less than the answer before it
	for {
		err := askOnce(ctx, client, base+"/ready")
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-p.done:
			return errors.New("exited before it was ready: " + p.how)
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
	}
}
