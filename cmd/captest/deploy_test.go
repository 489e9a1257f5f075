package main

import (
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/captest/captest/services"
	"github.com/captest/captest/targets"
)

// deployed is one service as compose.yaml or a Kubernetes manifest runs it.
type deployed struct {
	service string
	args    []string // of the image's entry point
	port    int      // that others reach it at, by the service's name
	grace   time.Duration
	memory  int64   // limit, bytes
	cpus    float64 // limit
	env     map[string]string
	probes  []string // paths
}

// repository is a file's path from the folder of this package.
func repository(path ...string) string {
	return filepath.Join(append([]string{"..", ".."}, path...)...)
}

func readRepository(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(repository(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// strictly reads YAML into exactly the fields of v: others are a mistake.
func strictly(t *testing.T, what string, data []byte, v any) {
	t.Helper()
	if err := yaml.Load(data, v, yaml.WithKnownFields()); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

var (
	dnsName  = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`) // RFC 1035, as a Kubernetes Service wants it
	killBill = []string{"KILLBILL_USER", "KILLBILL_PASSWORD", "KILLBILL_API_KEY", "KILLBILL_API_SECRET"}
)

// checkDeployed holds what both kinds of deployment have in common to the program and to each other.
func checkDeployed(t *testing.T, all []deployed) {
	t.Helper()
	ports := map[string]int{}
	for _, d := range all {
		ports[d.service] = d.port
	}
	if len(all) != len(services.Names()) || len(ports) != len(all) {
		t.Errorf("%v are deployed, want each of %v once", ports, services.Names())
	}
	patience := longestShutdown(t)
	for _, d := range all {
		t.Run(d.service, func(t *testing.T) {
			if !dnsName.MatchString(d.service) {
				t.Error("not a name for DNS")
			}
			o := parseAlone(t, d.args)
			if o.Service != d.service {
				t.Errorf("runs %s", o.Service)
			}
			host, port, err := net.SplitHostPort(o.Listen)
			if err != nil || host != "0.0.0.0" || port != strconv.Itoa(d.port) {
				t.Errorf("listens on %s, others reach it at port %d", o.Listen, d.port)
			}
			for name, at := range o.Downstream {
				if want := "http://" + name + ":" + strconv.Itoa(ports[name]); at != want {
					t.Errorf("calls %s at %s, which is at %s", name, at, want)
				}
			}
			if o.Dir != "/data" {
				t.Errorf("store in %q, and only /data can be written to", o.Dir)
			}
			if d.grace <= patience {
				t.Errorf("killed after %s, and shutdown_timeout is %s", d.grace, patience)
			}
			goMemory := bytesOf(t, d.env["GOMEMLIMIT"])
			if d.memory == 0 || goMemory < d.memory/2 || goMemory > d.memory*9/10 {
				t.Errorf("GOMEMLIMIT %d of a limit of %d bytes, want half to nine tenths", goMemory, d.memory)
			}
			if procs, set := d.env["GOMAXPROCS"]; set || d.cpus <= 0 {
				t.Errorf("GOMAXPROCS %q with a limit of %v CPUs: Go takes it from the limit", procs, d.cpus)
			}
		})
	}
	checkPaths(t, all)
}

// parseAlone reads the arguments as captest does, without running anything.
func parseAlone(t *testing.T, args []string) services.Options {
	t.Helper()
	c, rest, err := newRoot(&env{args: args, stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }}).Find(args)
	if err != nil || c.Name() != "serve" {
		t.Fatalf("%v: %v (%v)", args, c.Name(), err)
	}
	if err := c.ParseFlags(rest); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	flag := func(name string) string { return c.Flags().Lookup(name).Value.String() }
	downstream, err := c.Flags().GetStringToString("downstream")
	if err != nil {
		t.Fatal(err)
	}
	set, err := c.Flags().GetStringToString("set")
	if err != nil {
		t.Fatal(err)
	}
	a := aloneOptions{on: flag("alone") == "true", listen: flag("listen"), downstream: downstream}
	o, err := a.check(targets.StackConfig{Profile: flag("profile"), Set: set, Dir: flag("store-dir"), Only: c.Flags().Args()})
	if err != nil || !a.on {
		t.Fatalf("%v: alone %v: %v", args, a.on, err)
	}
	return o
}

// longestShutdown is the largest shutdown_timeout of any profile.
func longestShutdown(t *testing.T) time.Duration {
	t.Helper()
	var table struct {
		Knobs []struct {
			Knob string            `yaml:"knob"`
			Set  map[string]string `yaml:"set"`
		} `yaml:"knobs"`
	}
	if err := yaml.Load(readRepository(t, "services", "profiles.yaml"), &table); err != nil {
		t.Fatal(err)
	}
	var longest time.Duration
	for _, k := range table.Knobs {
		for _, v := range k.Set {
			if d, err := time.ParseDuration(v); err == nil && k.Knob == "shutdown_timeout" {
				longest = max(longest, d)
			}
		}
	}
	if longest == 0 {
		t.Fatal("no shutdown_timeout in profiles.yaml")
	}
	return longest
}

// checkPaths asks a running service of each kind for what its probes ask.
func checkPaths(t *testing.T, all []deployed) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ended []chan error
	defer func() {
		cancel()
		for _, c := range ended {
			if err := <-c; err != nil {
				t.Error(err)
			}
		}
	}()
	for _, d := range all {
		o := parseAlone(t, d.args)
		at, done := make(chan string, 1), make(chan error, 1)
		o.Listen, o.Dir, o.OnListen = "127.0.0.1:0", t.TempDir(), func(a services.Address) { at <- a.URL }
		go func() { done <- services.Run(ctx, o) }()
		select {
		case err := <-done:
			t.Errorf("%s: %v", d.service, err)
			continue
		case base := <-at:
			ended = append(ended, done)
			for _, path := range d.probes {
				if err := targets.Probe(ctx, base+path, 10*time.Second, nil); err != nil {
					t.Errorf("%s: %v", d.service, err)
				}
			}
		}
	}
}

var quantity = regexp.MustCompile(`^([0-9]+)(M|MiB|Mi|G|GiB|Gi)$`)

// bytesOf reads the units that Compose (M is 2^20 there), Go and Kubernetes share here.
func bytesOf(t *testing.T, s string) int64 {
	t.Helper()
	m := quantity.FindStringSubmatch(s)
	if m == nil {
		t.Errorf("%q is not a number of MiB or GiB", s)
		return 0
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(m[2], "G") {
		n <<= 10
	}
	return n << 20
}

// TestDeployTarget: the target file names each service at the port compose.yaml publishes.
func TestDeployTarget(t *testing.T) {
	t.Parallel()
	target, err := targets.Load(repository("deploy", "target.yaml"), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range services.Names() {
		s, ok := target.Find(name)
		if !ok {
			t.Errorf("no service %s", name)
			continue
		}
		u, err := url.Parse(s.URL)
		if err != nil || u.Host != "127.0.0.1:"+strconv.Itoa(servePorts[name]) {
			t.Errorf("%s is at %s (%v)", name, s.URL, err)
		}
	}
}
