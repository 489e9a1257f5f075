package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/captest/captest/internal/gate"
)

// put writes a file of the test's.
func put(t *testing.T, dir, name string, text []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func asPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// identity makes the files of a self-signed client certificate.
func identity(t *testing.T, dir, name string) (cert, key string, parsed *x509.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &from, &from, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return put(t, dir, name+".crt", asPEM("CERTIFICATE", der)), put(t, dir, name+".key", asPEM("PRIVATE KEY", secret)), parsed
}

func TestSecureFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key, own := identity(t, dir, "ann")
	clients := x509.NewCertPool()
	clients.AddCert(own)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	// TLS 1.3 would refuse a certificate only after the handshake, by an alert that a reset can overtake.
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MaxVersion: tls.VersionTLS12}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	ca := put(t, dir, "ca.pem", asPEM("CERTIFICATE", s.Certificate().Raw))
	scenario := put(t, dir, "s.yaml", []byte("name: s\nsteps: [{name: get, request: {path: /}}]\n"))
	run := func(more ...string) *program {
		return start(t, append([]string{"run", scenario, "--target", s.URL, "--users", "5", "--concurrent", "2"}, more...)...)
	}

	p := run("--ca-cert", ca, "--cert", cert, "--key", key)
	if code := p.wait(); code != gate.ExitPass && code != gate.ExitInconclusive {
		t.Fatalf("exit %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	r := p.result()
	if r.Steps["get"].OK != 5 || r.Run.Insecure || r.Run.Engine != "net/http" || r.Run.EngineWhy == "" {
		t.Errorf("%+v of %+v; want 5 good over HTTP/2", r.Steps["get"], r.Run)
	}
	if all := p.stdout.String() + p.stderr.String(); strings.Contains(all, "INSECURE") || strings.Contains(all, "--insecure") {
		t.Errorf("a verified run calls itself insecure:\n%s", all)
	}
	if !strings.Contains(p.stderr.String(), "engine net/http (auto") || !strings.Contains(p.stdout.String(), "engine net/http, auto") {
		t.Errorf("who sends and why is not said:\n%s%s", p.stderr.String(), p.stdout.String())
	}

	for name, flags := range map[string][]string{
		"not verified":       {"--cert", cert, "--key", key},
		"without a client's": {"--ca-cert", ca},
		"1.1 is refused":     {"--ca-cert", ca, "--cert", cert, "--key", key, "--http", "1.1"},
	} {
		p := run(flags...)
		p.wait()
		if r := p.result(); r.Steps["get"].OK != 0 || r.Steps["get"].N == 0 || name != "1.1 is refused" && r.Steps["get"].Errors["tls"] != r.Steps["get"].N {
			t.Errorf("%s: %+v; want tls errors (418 with HTTP/1.1)\n%s", name, r.Steps["get"], p.stderr.String())
		}
	}

	p = run("--insecure", "--cert", cert, "--key", key)
	p.wait()
	if r := p.result(); r.Steps["get"].OK != 5 || !r.Run.Insecure {
		t.Errorf("%+v, insecure %v; want 5 good, insecurely", r.Steps["get"], r.Run.Insecure)
	}
	page, err := os.ReadFile(filepath.Join(p.dir(), "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range map[string]string{
		"WARNING: --insecure": p.stderr.String(), "INSECURE: no certificate was verified": p.stdout.String(),
		"No certificate was verified (--insecure)": string(page),
	} {
		if !strings.Contains(text, where) {
			t.Errorf("nothing says %q", where)
		}
	}
}

func TestSecureFlagMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key, own := identity(t, dir, "ann")
	_, other, _ := identity(t, dir, "bob")
	empty := put(t, dir, "empty", nil)
	encrypted := put(t, dir, "encrypted.key", asPEM("ENCRYPTED PRIVATE KEY", []byte("secret")))
	torn := put(t, dir, "torn.pem", asPEM("CERTIFICATE", own.Raw[:40]))
	large := put(t, dir, "large.pem", make([]byte, pemMax+1))
	both := put(t, dir, "both.yaml", []byte("name: both\nentry: a\nservices: {a: {url: http://127.0.0.1:1}, b: {url: 'https://127.0.0.1:2'}}\n"))
	scenario := put(t, dir, "s.yaml", []byte("name: s\nsteps: [{name: get, request: {path: /}}]\n"))
	const plain, secure = "http://127.0.0.1:1", "https://127.0.0.1:1"
	for _, c := range []struct {
		target string
		flags  []string
		want   string
	}{
		{secure, []string{"--ca-cert", filepath.Join(dir, "none")}, "none: no such file or directory"},
		{secure, []string{"--ca-cert", dir}, "is a folder"},
		{secure, []string{"--ca-cert", empty}, "no certificate in PEM form"},
		{secure, []string{"--ca-cert", key}, "holds a private key where only certificates"},
		{secure, []string{"--ca-cert", torn}, "certificate 1 cannot be read"},
		{secure, []string{"--ca-cert", large}, "larger than 1024 KiB"},
		{secure, []string{"--ca-cert", cert, "--insecure"}, "give one of them"},
		{secure, []string{"--cert", cert}, "--cert needs --key"},
		{secure, []string{"--key", key}, "--key needs --cert"},
		{secure, []string{"--cert", empty, "--key", key}, "no certificate in PEM form"},
		{secure, []string{"--cert", cert, "--key", empty}, "no private key in PEM form"},
		{secure, []string{"--cert", cert, "--key", other}, "does not match"},
		{secure, []string{"--cert", cert, "--key", encrypted}, "the key is encrypted"},
		{secure, []string{"--cert", torn, "--key", key}, "torn.pem, --key"},
		{secure, []string{"--http", "3"}, `HTTP version "3" is not one of auto, 1.1, 2, h2c`},
		{secure, []string{"--http", "h2c"}, "service target is https"},
		{plain, []string{"--http", "2"}, "service target is not https"},
		{both, []string{"--http", "2"}, "service a is not https"},
		{plain, []string{"--insecure"}, "--insecure is about https"},
		{plain, []string{"--ca-cert", cert}, "--ca-cert is about https"},
		{"reference", []string{"--http", "h2c"}, "the bundled services speak HTTP/1.1"},
		{"reference", []string{"--cert", cert, "--key", key}, "--cert is about https"},
		{plain, []string{"--engine", "native", "--http", "h2c"}, "the native engine speaks HTTP/1.1"},
		{plain, []string{"--engine", "vegeta"}, "give --rate and --duration"},
		{plain, []string{"--engine", "curl"}, "--engine curl: not one of auto, native, http, vegeta"},
	} {
		args := append([]string{"run", scenario, "--target", c.target, "--out", filepath.Join(dir, "runs")}, c.flags...)
		code, out, errs := inProcess(args...)
		if code != gate.ExitConfig || !strings.Contains(errs, c.want) || out != "" {
			t.Errorf("%v: exit %d, %s%s; want 104 with %q", c.flags, code, out, errs, c.want)
		}
		if strings.Contains(errs, "BEGIN") && strings.Contains(errs, "MI") {
			t.Errorf("%v: a file's content in %s", c.flags, errs)
		}
	}
	if made, err := filepath.Glob(filepath.Join(dir, "runs", "*")); err != nil || len(made) > 0 {
		t.Errorf("run folders %v of runs that never were", made)
	}
}

// TestVegetaSends is a run by vegeta's Attacker, from flag to run.json.
func TestVegetaSends(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	scenario := put(t, t.TempDir(), "s.yaml", []byte("name: s\nsteps: [{name: get, request: {path: '/{{unique}}'}}]\n"))
	p := start(t, "run", scenario, "--target", s.URL, "--rate", "50", "--duration", "1s", "--engine", "vegeta")
	if code := p.wait(); code != gate.ExitPass && code != gate.ExitInconclusive {
		t.Fatalf("exit %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	if r := p.result(); r.Steps["get"].OK != 50 || r.Run.Engine != "vegeta" || r.Run.EngineWhy != "asked for with --engine" {
		t.Errorf("%+v by %s (%s); want 50 by vegeta", r.Steps["get"], r.Run.Engine, r.Run.EngineWhy)
	}
}
