package targets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Probe sends one GET to a URL and is content with a 2xx: no proxy, no redirect, no second try. Loopback is always allowed,
// other addresses when allow has them (as for NewGuard). The error is a *URLError, a *RefusedError, or why there was no
// such answer within timeout.
func Probe(ctx context.Context, at string, timeout time.Duration, allow []string) error {
	at, err := parseBase(at)
	if err != nil {
		return err
	}
	guard, err := NewGuard(nil, allow)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	transport := &http.Transport{DialContext: guard.Dialer(timeout).DialContext}
	defer transport.CloseIdleConnections()
	err = askOnce(ctx, onceClient(transport), at)
	var sent *url.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("probe %s: no answer within %s", at, timeout)
	case errors.As(err, &sent):
		err = sent.Err // without the method and the URL, which stand here already
	}
	return fmt.Errorf("probe %s: %w", at, err)
}

// onceClient makes a client whose connections serve one request: none is left behind in the connection counts of the
// service.
func onceClient(transport *http.Transport) *http.Client {
	transport.DisableKeepAlives = true
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// askOnce sends a GET; an answer other than 2xx is an error that begins with its status.
func askOnce(ctx context.Context, client *http.Client, at string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 200))
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("GET %s: %s %s", request.URL.Path, response.Status, printable(string(body)))
	}
	return nil
}

// printable keeps what a service answers from steering the terminal it is shown on.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s))
}
