package main

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/captest/captest/services"
)

// composeFile is the part of the Compose specification that deploy/compose.yaml uses, and no more.
type composeFile struct {
	Name     string                    `yaml:"name"`
	Service  yaml.Node                 `yaml:"x-service"`
	Small    yaml.Node                 `yaml:"x-small"`
	Common   yaml.Node                 `yaml:"x-environment"`
	Services map[string]composeService `yaml:"services"`
	Volumes  map[string]struct{}       `yaml:"volumes"`
}

type composeService struct {
	Image           string            `yaml:"image"`
	Build           map[string]string `yaml:"build"`
	User            string            `yaml:"user"`
	ReadOnly        bool              `yaml:"read_only"`
	CapDrop         []string          `yaml:"cap_drop"`
	SecurityOpt     []string          `yaml:"security_opt"`
	Restart         string            `yaml:"restart"`
	StopGracePeriod time.Duration     `yaml:"stop_grace_period"`
	StopSignal      string            `yaml:"stop_signal"`
	Profiles        []string          `yaml:"profiles"`
	SHMSize         string            `yaml:"shm_size"`
	Tmpfs           []string          `yaml:"tmpfs"`
	Command         []string          `yaml:"command"`
	Environment     map[string]string `yaml:"environment"`
	Volumes         []string          `yaml:"volumes"`
	Ports           []string          `yaml:"ports"`
	Healthcheck     struct {
		Test          []string      `yaml:"test"`
		Interval      time.Duration `yaml:"interval"`
		Timeout       time.Duration `yaml:"timeout"`
		Retries       int           `yaml:"retries"`
		StartPeriod   time.Duration `yaml:"start_period"`
		StartInterval time.Duration `yaml:"start_interval"`
	} `yaml:"healthcheck"`
	Deploy struct {
		Resources struct {
			Limits       composeResources `yaml:"limits"`
			Reservations composeResources `yaml:"reservations"`
		} `yaml:"resources"`
	} `yaml:"deploy"`
	DependsOn map[string]struct {
		Condition string `yaml:"condition"`
		Required  *bool  `yaml:"required"` // nil: true
	} `yaml:"depends_on"`
}

type composeResources struct {
	CPUs   string `yaml:"cpus"`
	Memory string `yaml:"memory"`
	PIDs   int    `yaml:"pids"`
}

var composeDefault = regexp.MustCompile(`\$\{[A-Z_]+:-([^}]*)\}`)

// readCompose reads the file with the defaults of its variables.
func readCompose(t *testing.T) composeFile {
	t.Helper()
	var c composeFile
	data := composeDefault.ReplaceAll(readRepository(t, "deploy", "compose.yaml"), []byte("$1"))
	strictly(t, "compose.yaml", data, &c)
	return c
}

func TestCompose(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	image := readDockerfile(t)
	var all []deployed
	for name, s := range c.Services {
		fail := func(format string, args ...any) { t.Errorf(name+": "+format, args...) }
		checkConfined(t, name, s)
		if name == "postgres" {
			checkPostgres(t, s)
			continue
		}
		if s.Image != "captest:local" || s.Build["context"] != ".." || len(s.Build) != 1 {
			fail("image %s, built from %v", s.Image, s.Build)
		}
		if s.User != image.user || len(s.Profiles) > 0 {
			fail("user %s, profiles %v", s.User, s.Profiles)
		}
		_, known := c.Volumes[name]
		if !slices.Equal(s.Volumes, []string{name + ":" + image.volume}) || !known {
			fail("volumes %v", s.Volumes)
		}
		port := servePorts[name]
		if want := fmt.Sprintf("127.0.0.1:%d:%d", port, port); !slices.Equal(s.Ports, []string{want}) || !slices.Contains(image.ports, port) {
			fail("ports %v, want %s alone", s.Ports, want)
		}
		h := s.Healthcheck
		path := ""
		if len(h.Test) != 4 || h.Test[0] != "CMD" || h.Test[1] != image.entry || h.Test[2] != "probe" {
			fail("healthcheck %v", h.Test)
		} else if at, err := url.Parse(h.Test[3]); err != nil || at.Host != "127.0.0.1:"+strconv.Itoa(port) {
			fail("healthcheck of %s (%v)", h.Test[3], err)
		} else {
			path = at.Path
		}
		if h.Timeout <= probeTimeout(t) {
			fail("healthcheck times %+v; the probe itself takes up to %s", h, probeTimeout(t))
		}
		for on, how := range s.DependsOn {
			required := how.Required == nil || *how.Required
			if other, ok := c.Services[on]; !ok || how.Condition != "service_healthy" || required != (len(other.Profiles) == 0) {
				fail("depends on %s, %s, required %v", on, how.Condition, required)
			}
		}
		for downstream := range parseAlone(t, s.Command).Downstream {
			if _, ok := s.DependsOn[downstream]; !ok {
				fail("does not wait for %s, which it calls", downstream)
			}
		}
		for _, v := range killBill {
			given, has := s.Environment[v]
			if wants := name == "kill-bill" || name == "billing"; has != wants || has && !strings.HasPrefix(given, "${"+v+":?") {
				fail("%s is %q; it must come from outside, and only where it is needed", v, given)
			}
		}
		limits := s.Deploy.Resources.Limits
		cpus, err := strconv.ParseFloat(limits.CPUs, 64)
		if err != nil {
			fail("%v", err)
		}
		all = append(all, deployed{
			service: name, args: s.Command, port: port, grace: s.StopGracePeriod, cpus: cpus, memory: bytesOf(t, limits.Memory),
			env: s.Environment, probes: []string{path},
		})
	}
	checkDeployed(t, all)
	checkExample(t, append(killBill, "PGPASSWORD"), "deploy", ".env.example")
}

// checkConfined holds what every container must have, whatever runs in it.
func checkConfined(t *testing.T, name string, s composeService) {
	t.Helper()
	if !numericUser.MatchString(s.User) || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
		t.Errorf("%s: user %s, read-only %v, capabilities dropped %v, %v", name, s.User, s.ReadOnly, s.CapDrop, s.SecurityOpt)
	}
	if s.Restart != "unless-stopped" {
		t.Errorf("%s: restart %q", name, s.Restart)
	}
	if h := s.Healthcheck; len(h.Test) == 0 || h.Interval <= 0 || h.Timeout <= 0 || h.Retries <= 0 || h.StartPeriod <= 0 || h.StartInterval <= 0 {
		t.Errorf("%s: healthcheck %+v", name, h)
	}
	limits, reserved := s.Deploy.Resources.Limits, s.Deploy.Resources.Reservations
	if limits.CPUs == "" || limits.PIDs <= 0 || reserved.CPUs == "" || bytesOf(t, reserved.Memory) > bytesOf(t, limits.Memory) {
		t.Errorf("%s: limits %+v, reservations %+v", name, limits, reserved)
	}
}

// checkPostgres: the database starts only when asked for, is reached from inside alone, and its password comes from outside.
func checkPostgres(t *testing.T, s composeService) {
	t.Helper()
	if !slices.Equal(s.Profiles, []string{"postgres"}) || len(s.Ports) > 0 || s.Environment["POSTGRES_PASSWORD"] != "" {
		t.Errorf("postgres: profiles %v, ports %v, environment %v", s.Profiles, s.Ports, s.Environment)
	}
	_, example, _ := strings.Cut(string(readRepository(t, "deploy", ".env.example")), "CAPTEST_STORE=")
	example, _, _ = strings.Cut(example, "\n")
	want := "postgres://" + s.Environment["POSTGRES_USER"] + "@postgres/" + s.Environment["POSTGRES_DB"]
	if err := services.CheckStore(example); err != nil || example != want {
		t.Errorf(".env.example: CAPTEST_STORE %q, want %s (%v)", example, want, err)
	}
}

// probeTimeout is how long captest probe waits unless told otherwise.
func probeTimeout(t *testing.T) time.Duration {
	t.Helper()
	d, err := newProbe(&env{}).Flags().GetDuration("timeout")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// checkExample: a file of settings to copy names exactly these secrets, and gives none.
func checkExample(t *testing.T, want []string, path ...string) {
	t.Helper()
	var names []string
	for line := range strings.Lines(string(readRepository(t, path...))) {
		line = strings.TrimSpace(line)
		if name, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			names = append(names, name)
			if value != "" {
				t.Errorf("%v gives a value to %s", path, name)
			}
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("%v names %v, want %v", path, names, want)
	}
}
