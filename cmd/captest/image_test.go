//go:build linux

package main

import (
	"debug/elf"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/services"
)

// TestImage does without a container engine what one would: it builds the program from the build context as the Dockerfile
// says, and runs it as compose.yaml says, as the image's user. Only addresses and folders are others.
func TestImage(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program anew")
	}
	// Not parallel: the compiler would take the cores from tests that measure.
	image, compose := readDockerfile(t), readCompose(t)
	dir, err := os.MkdirTemp("", "captest-image-") // t.TempDir is for this user alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	exe := buildImage(t, image, dir)
	checkStatic(t, exe)

	c := containers{t: t, exe: exe, image: image, dir: dir, urls: map[string]string{}}
	var up []*program
	for _, name := range services.Names() { // as depends_on has them
		up = append(up, c.start(name, compose.Services[name]))
	}
	const customer = `{"email":"image@load.example","password":"Correct-Horse-1","first_name":"I","last_name":"M","accept_terms":true}`
	resp, err := http.Post(c.urls["user"]+"/auth/register", "application/json", strings.NewReader(customer))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("a registration through the chain: %s %s", resp.Status, body)
	}
	for i, p := range slices.Backward(up) {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if code := p.wait(); code != gate.ExitPass {
			t.Errorf("%s: exit %d\n%s", services.Names()[i], code, p.stderr.String())
		}
		if secret := "chosen-for-this-test"; strings.Contains(p.stderr.String(), secret) {
			t.Errorf("%s logs a credential", services.Names()[i])
		}
	}
}

// buildImage runs the Dockerfile's build line in a copy of the build context.
func buildImage(t *testing.T, image dockerfile, dir string) string {
	t.Helper()
	source, exe := filepath.Join(dir, "src"), filepath.Join(dir, "captest")
	copyContext(t, source)
	args := slices.Clone(image.build)
	args[slices.Index(args, "-o")+1] = exe
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Env = source, append(os.Environ(), image.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return exe
}

// checkStatic: in an empty image nobody would load a shared library.
func checkStatic(t *testing.T, exe string) {
	t.Helper()
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program has a %v segment", p.Type)
		}
	}
	if libraries, err := f.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("the program needs %v", libraries)
	}
}

// containers stands in for the engine.
type containers struct {
	t     *testing.T
	exe   string
	image dockerfile
	dir   string
	urls  map[string]string // where each service listens
}

// start runs a service of compose.yaml, and then its health check.
func (c *containers) start(name string, s composeService) *program {
	c.t.Helper()
	data := filepath.Join(c.dir, "data-"+name)
	if err := os.Mkdir(data, 0o700); err != nil {
		c.t.Fatal(err)
	}
	var args []string
	for _, arg := range s.Command {
		args = append(args, c.translate(arg, data))
	}
	env := []string{}
	for _, v := range c.image.finalEnv {
		env = append(env, c.translate(v, data))
	}
	for k, v := range s.Environment {
		if strings.HasPrefix(v, "${") {
			v = "chosen-for-this-test-" + k
		}
		env = append(env, k+"="+v)
	}
	p := &program{t: c.t, cmd: c.command(args, env, data)}
	p.cmd.Stderr = &p.stderr
	c.urls[name] = listening(c.t, p)

	check := slices.Clone(s.Healthcheck.Test[2:])
	at, err := url.Parse(check[len(check)-1])
	if err != nil {
		c.t.Fatal(err)
	}
	check[len(check)-1] = c.urls[name] + at.Path
	if out, err := c.command(check, env, data).CombinedOutput(); err != nil {
		c.t.Fatalf("health check %v of %s: %v\n%s\n%s", check, name, err, out, p.stderr.String())
	}
	return p
}

// translate puts this test's addresses and folders in the place of the containers'.
func (c *containers) translate(arg, data string) string {
	arg = strings.ReplaceAll(arg, c.image.volume, data)
	for name, at := range c.urls {
		arg = strings.ReplaceAll(arg, "http://"+name+":"+strconv.Itoa(servePorts[name]), at)
	}
	for _, port := range servePorts {
		arg = strings.ReplaceAll(arg, "0.0.0.0:"+strconv.Itoa(port), "127.0.0.1:0")
	}
	return arg
}

// command runs the program as the image's user when this test may change users, with nothing of its own environment.
func (c *containers) command(args, env []string, data string) *exec.Cmd {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.exe, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = data, env, 10*time.Second
	if os.Getuid() != 0 {
		return cmd
	}
	uid, gid, _ := strings.Cut(c.image.user, ":")
	u, err := strconv.ParseUint(uid, 10, 32)
	g, err2 := strconv.ParseUint(gid, 10, 32)
	if err != nil || err2 != nil {
		c.t.Fatalf("user %s", c.image.user)
	}
	if err := os.Chown(data, int(u), int(g)); err != nil {
		c.t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(u), Gid: uint32(g)}}
	return cmd
}
