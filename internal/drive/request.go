package drive

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/captest/captest/scenarios"
)

// build makes the request of a step. The error is a mistake in the scenario, found only now.
func (u *user) build(ctx context.Context, s *step) (*http.Request, error) {
	r := s.proto.WithContext(ctx)
	var err error
	if r.URL, err = s.url(u); err != nil {
		return nil, err
	}
	if r.URL != s.proto.URL && r.Host == s.proto.URL.Host {
		r.Host = r.URL.Host
	}
	if err := u.fillHeaders(r, s); err != nil {
		return nil, err
	}
	if s.body == nil && len(s.form) == 0 {
		return r, nil
	}
	p := u.takePayload()
	if p.data, err = s.appendBody(p.data[:0], u); err != nil {
		return nil, err
	}
	r.ContentLength = int64(len(p.data))
	if len(p.data) == 0 {
		r.Body = http.NoBody // ContentLength 0 with another body would mean "unknown"
		return r, nil
	}
	r.Body = p
	r.GetBody = p.again
	return r, nil
}

// fillHeaders completes the headers. A step whose headers are all fixed shares one map among all its requests: net/http
// only reads it.
func (u *user) fillHeaders(r *http.Request, s *step) error {
	cookies := u.cookies(r.URL)
	if len(s.headers) == 0 && s.basic == nil && len(cookies) == 0 {
		return nil
	}
	r.Header = s.proto.Header.Clone()
	for _, f := range s.headers {
		text, err := f.Value.Append(u.text[:0], &u.values)
		u.text = text
		if err != nil {
			return fmt.Errorf("header %s: %w", f.Name, err)
		}
		setHeader(r, f.Name, string(text))
	}
	if s.basic != nil {
		name, err := s.basic.User.Append(nil, &u.values)
		if err != nil {
			return fmt.Errorf("basic user: %w", err)
		}
		password, err := s.basic.Password.Append(nil, &u.values)
		if err != nil {
			return fmt.Errorf("basic password: %w", err)
		}
		r.SetBasicAuth(string(name), string(password))
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return nil
}

// appendBody writes the request's body.
func (s *step) appendBody(dst []byte, u *user) ([]byte, error) {
	if s.body != nil {
		dst, err := s.body.Append(dst, &u.values)
		if err != nil {
			return dst, fmt.Errorf("body: %w", err)
		}
		return dst, nil
	}
	for i, f := range s.form {
		text, err := f.Value.Append(u.text[:0], &u.values)
		u.text = text
		if err != nil {
			return dst, fmt.Errorf("form field %s: %w", f.Name, err)
		}
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, url.QueryEscape(f.Name)...)
		dst = append(dst, '=')
		dst = append(dst, url.QueryEscape(string(text))...)
	}
	return dst, nil
}

// payload is a request body. net/http may go on reading it after the response has come, until it closes it; only then may
// its memory serve another request.
type payload struct {
	data   []byte
	offset int
	closed atomic.Bool
	shared bool // read a second time, by a retry: never reused
}

// takePayload gives the user's payload, or a new one while the old one may still be read.
func (u *user) takePayload() *payload {
	if p := u.payload; p != nil && p.closed.Load() && !p.shared {
		p.offset = 0
		p.closed.Store(false)
		return p
	}
	u.payload = &payload{}
	return u.payload
}

// Read gives the next bytes.
func (p *payload) Read(b []byte) (int, error) {
	if p.offset >= len(p.data) {
		return 0, io.EOF
	}
	n := copy(b, p.data[p.offset:])
	p.offset += n
	return n, nil
}

// Close ends net/http's interest in it.
func (p *payload) Close() error {
	p.closed.Store(true)
	return nil
}

// again lets net/http repeat a request of which nothing was sent, because a kept connection had been closed under it. It is
// called on the goroutine that sends the request.
func (p *payload) again() (io.ReadCloser, error) {
	p.shared = true
	return &payload{data: p.data}, nil
}

// fields makes the journey's data, in file order.
func (u *user) fields(data []scenarios.Field) error {
	for i := range data {
		text, err := data[i].Value.Append(u.text[:0], &u.values)
		u.text = text
		if err != nil {
			return fmt.Errorf("data field %s: %w", data[i].Name, err)
		}
		u.values.Vars[data[i].Name] = string(text)
	}
	return nil
}
