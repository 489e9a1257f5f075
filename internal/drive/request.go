package drive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"unsafe"

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
	written, err := s.appendBody(u.written[:0], u)
	u.written = written
	if err != nil {
		return nil, err
	}
	r.ContentLength = int64(len(written))
	if len(written) == 0 {
		r.Body = http.NoBody // ContentLength 0 with another body would mean "unknown"
		return r, nil
	}
	// A copy, because net/http may go on reading it after the response has come; and as a *bytes.Reader, because only of types
	// it knows to be in memory does net/http send head and body in one write, as real clients do.
	body := bytes.Clone(written)
	r.Body = io.NopCloser(bytes.NewReader(body))
	// GetBody lets it repeat a request of which nothing was sent, because the kept connection had been closed under it.
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
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

// fields makes the journey's data, in file order. They live in u.made until the next journey begins; nothing that outlives
// this one may hold on to them.
func (u *user) fields(data []scenarios.Field) error {
	for i := range data {
		from := len(u.made)
		made, err := data[i].Value.Append(u.made, &u.values)
		if err != nil {
			return fmt.Errorf("data field %s: %w", data[i].Name, err)
		}
		u.made = made // when it has moved, earlier fields keep the old memory alive
		u.values.Vars[data[i].Name] = view(made[from:])
	}
	return nil
}

// view is b as a string, without a copy. b must not change for as long as the string is used.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
