package drive

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/targets"
)

// echoProto answers with the protocol it was asked in.
var echoProto = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })

// server is one whose log of failed handshakes nobody wants to read.
func server(t *testing.T, change func(*httptest.Server)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(echoProto)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	change(s)
	t.Cleanup(s.Close)
	return s
}

func withTLS(h2 bool) func(*httptest.Server) {
	return func(s *httptest.Server) { s.EnableHTTP2 = h2; s.StartTLS() }
}

// clientCertificate is self-signed; pool trusts it.
func clientCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "captest"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &from, &from, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestVersionsAndCertificates(t *testing.T) {
	once(t)
	own, trusted := clientCertificate(t)
	plain := server(t, func(s *httptest.Server) { s.Start() })
	secure := server(t, withTLS(true))
	old := server(t, withTLS(false))
	picky := server(t, func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted}
		s.StartTLS()
	})
	picky12 := server(t, func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted, MaxVersion: tls.VersionTLS12}
		s.StartTLS()
	})
	knowing := server(t, func(s *httptest.Server) {
		s.Config.Protocols = &http.Protocols{}
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	})
	roots := x509.NewCertPool()
	for _, s := range []*httptest.Server{secure, old, picky} {
		roots.AddCert(s.Certificate())
	}
	known := &tls.Config{RootCAs: roots}
	for name, c := range map[string]struct {
		url  string
		tls  *tls.Config
		http Version
		want string // the protocol, or an error class
		or   string // a class that the second of two racing events gives
	}{
		"plain":                                 {url: plain.URL, want: "HTTP/1.1"},
		"plain, 1.1":                            {url: plain.URL, http: HTTP11, want: "HTTP/1.1"},
		"not verified by default":               {url: secure.URL, want: "tls"},
		"roots of one's own":                    {url: secure.URL, tls: known, want: "HTTP/2.0"},
		"insecure":                              {url: secure.URL, tls: &tls.Config{InsecureSkipVerify: true}, want: "HTTP/2.0"},
		"auto and a server without HTTP/2":      {url: old.URL, tls: known, http: AutoHTTP, want: "HTTP/1.1"},
		"1.1 where 2 is offered":                {url: secure.URL, tls: known, http: HTTP11, want: "HTTP/1.1"},
		"2":                                     {url: secure.URL, tls: known, http: HTTP2, want: "HTTP/2.0"},
		"2 where it is not offered":             {url: old.URL, tls: known, http: HTTP2, want: "tls"},
		"h2c":                                   {url: knowing.URL, http: H2C, want: "HTTP/2.0"},
		"h2c where it is not known":             {url: plain.URL, http: H2C, want: "protocol", or: "closed"},
		"a certificate, asked for":              {url: picky.URL, tls: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}}, want: "HTTP/1.1"},
		"a certificate, not given, TLS 1.2":     {url: picky12.URL, tls: known, want: "tls"},
		"a certificate, given, not asked for":   {url: secure.URL, tls: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}}, want: "HTTP/2.0"},
		"roots do not make another name theirs": {url: strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), tls: known, want: "tls"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, e := range engines {
				if !e.secure {
					continue
				}
				s := get("/")
				s.Steps[0].Expect.Contains = c.want
				if !strings.HasPrefix(c.want, "HTTP/") {
					s.Steps[0].Expect.Contains = ""
				}
				eng := e.make(t, Config{Scenario: s, Target: target(c.url), TLS: c.tls, HTTP: c.http})
				_, sums := drive(t, t.Context(), eng, Load{Plan: fixed(t, 100, 30*time.Millisecond)}, recorder(s))
				if strings.HasPrefix(c.want, "HTTP/") && sums.OK != 3 || !strings.HasPrefix(c.want, "HTTP/") && sums.Errors[c.want]+sums.Errors[c.or] != 3 {
					examples, _ := eng.(interface{ Examples() []Example })
					t.Errorf("%s: %d good, errors %v; want 3 of %s (%v)", e.name, sums.OK, sums.Errors, c.want, examples.Examples())
				}
			}
		})
	}
}

// TLS 1.3 refuses a client's certificate only when the handshake is over for the client. Then the alert and the reset that follows
// it race each other to the client.
func TestACertificateNotGivenIsRefused(t *testing.T) {
	once(t)
	_, trusted := clientCertificate(t)
	for _, h2 := range []bool{false, true} {
		picky := server(t, func(s *httptest.Server) {
			s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted}
			s.EnableHTTP2 = h2
			s.StartTLS()
		})
		roots := x509.NewCertPool()
		roots.AddCert(picky.Certificate())
		_, sums := journeys(t, Config{Scenario: get("/"), Target: target(picky.URL), TLS: &tls.Config{RootCAs: roots}}, 5)
		if e := sums.Errors; e["tls"]+e["reset"]+e["closed"] != 5 {
			t.Errorf("HTTP/2 %v: %v; want 5 of tls, or of what can overtake it", h2, sums.Errors)
		}
	}
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}
	if got := classify(fmt.Errorf("readLoop: %w", alert), t.Context(), t.Context()); got != record.ErrorTLS {
		t.Errorf("an alert is %q, want tls", got)
	}
}

func TestVersionsFitTheirTargets(t *testing.T) {
	once(t)
	both := &targets.Target{Entry: "a", Services: []targets.Service{{Name: "a", URL: "http://a.test"}, {Name: "b", URL: "https://b.test"}}}
	for v, want := range map[Version]string{
		"": "", AutoHTTP: "", HTTP11: "", HTTP2: "service a is not https", H2C: "service b is https", "3": `HTTP version "3" is not one of`,
	} {
		err := CheckVersion(v, both)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("version %q: %v, want %q", v, err, want)
		}
		if _, err := NewHTTP(filled(Config{Target: both, HTTP: v})); (err == nil) != (want == "") {
			t.Errorf("version %q: an engine says %v", v, err)
		}
	}
}

// The prober comes as the load does.
func TestProbesUseTheLoadsCertificates(t *testing.T) {
	once(t)
	secure := server(t, withTLS(true))
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	for want, config := range map[string]*tls.Config{"tls": nil, "": {RootCAs: roots}} {
		p, err := NewProber(filled(Config{Target: target(secure.URL), TLS: config, Clock: record.NewClock()}))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Get(t.Context(), "", "/", true, time.Second); got.Error != want {
			t.Errorf("probe %+v, want error %q", got, want)
		}
		p.Close()
	}
}
