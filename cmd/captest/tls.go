package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/captest/captest/internal/drive"
	"github.com/captest/captest/targets"
)

// secureOptions are the flags about TLS and the version of HTTP.
type secureOptions struct {
	caCert, cert, key string
	insecure          bool
	http              string
}

func (o *secureOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.http, "http", string(drive.AutoHTTP), "version of HTTP: auto (1.1, and 2 to https targets that choose it), 1.1, 2 (https), or h2c (2 without TLS)")
	f.StringVar(&o.caCert, "ca-cert", "", "PEM file of certificates to trust besides the system's")
	f.StringVar(&o.cert, "cert", "", "PEM file of the client certificate, and of the chain above it")
	f.StringVar(&o.key, "key", "", "PEM file of the client certificate's key")
	f.BoolVar(&o.insecure, "insecure", false, "verify no certificate: whatever answers is taken for the target")
}

// insecureWarning is what a person must have read before believing a number.
const insecureWarning = "WARNING: --insecure: no certificate is verified; whatever answers is taken for the target, and gets what the scenario sends, secrets too"

// config reads the files; nil when nothing was asked for. All mistakes come together.
func (o *secureOptions) config() (*tls.Config, error) {
	if o.caCert == "" && o.cert == "" && o.key == "" && !o.insecure {
		return nil, nil
	}
	c := &tls.Config{InsecureSkipVerify: o.insecure} //nolint:gosec // asked for, and said loudly
	var wrong []error
	if o.caCert != "" {
		if o.insecure {
			wrong = append(wrong, errors.New("--insecure verifies nothing, --ca-cert says what to verify with: give one of them"))
		}
		roots, err := readRoots(o.caCert)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("--ca-cert %s: %w", o.caCert, err))
		}
		c.RootCAs = roots
	}
	switch {
	case o.cert != "" && o.key != "":
		own, err := readPair(o.cert, o.key)
		if err != nil {
			wrong = append(wrong, err)
		}
		c.Certificates = []tls.Certificate{own}
	case o.cert != "":
		wrong = append(wrong, errors.New("--cert needs --key: the file of its private key"))
	case o.key != "":
		wrong = append(wrong, errors.New("--key needs --cert: the file of its certificate"))
	}
	return c, errors.Join(wrong...)
}

// fits says whether a target can be asked as the flags say. The bundled services speak HTTP/1.1 without TLS.
func (o *secureOptions) fits(t *targets.Target) error {
	if version := drive.Version(o.http); t.Bundled && (version == drive.HTTP2 || version == drive.H2C) {
		return fmt.Errorf("--http %s: the bundled services speak HTTP/1.1", o.http)
	} else if err := drive.CheckVersion(version, t); err != nil {
		return fmt.Errorf("--http %s: %w", o.http, err)
	}
	for i := range t.Services {
		if strings.HasPrefix(t.Services[i].URL, "https://") {
			return nil
		}
	}
	for _, f := range []struct {
		name  string
		given bool
	}{{"ca-cert", o.caCert != ""}, {"cert", o.cert != ""}, {"insecure", o.insecure}} {
		if f.given {
			return fmt.Errorf("--%s is about https, and no service of target %s is", f.name, t.Name)
		}
	}
	return nil
}

// readRoots gives the system's roots and those of a file.
func readRoots(file string) (*x509.CertPool, error) {
	text, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without any: those of the file are the only ones
	}
	found := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a %s where only certificates are expected", strings.ToLower(block.Type))
		}
		found++
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", found, err)
		}
		pool.AddCert(one)
	}
	if found == 0 {
		return nil, errors.New("no certificate in PEM form (-----BEGIN CERTIFICATE-----) is in it")
	}
	return pool, nil
}

// readPair gives a client certificate. Errors never repeat what the files hold.
func readPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := readPEM(certFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("--cert %s: %w", certFile, err)
	}
	key, err := readPEM(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("--key %s: %w", keyFile, err)
	}
	if block, _ := pem.Decode(cert); block == nil {
		return tls.Certificate{}, fmt.Errorf("--cert %s: no certificate in PEM form (-----BEGIN CERTIFICATE-----) is in it", certFile)
	}
	switch block, _ := pem.Decode(key); {
	case block == nil:
		return tls.Certificate{}, fmt.Errorf("--key %s: no private key in PEM form (-----BEGIN PRIVATE KEY-----) is in it", keyFile)
	case strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "":
		return tls.Certificate{}, fmt.Errorf("--key %s: the key is encrypted, and captest cannot ask for its passphrase; decrypt it with openssl pkey", keyFile)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("--cert %s, --key %s: %s", certFile, keyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return pair, nil
}

// pemMax bounds a file of certificates, in bytes; a system's whole bundle has a quarter of it.
const pemMax = 1 << 20

func readPEM(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errors.New("is a folder, not a file")
	}
	text, err := io.ReadAll(io.LimitReader(f, pemMax+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(text) > pemMax {
		return nil, fmt.Errorf("larger than %d KiB", pemMax>>10)
	}
	return text, nil
}

// withoutPath is an error whose file is named already.
func withoutPath(err error) error {
	if at := (*os.PathError)(nil); errors.As(err, &at) {
		return at.Err
	}
	return err
}
