package main

import (
	"encoding/json"
	"os"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// dockerfile is what the Dockerfile says, as far as the tests go. A form they do not know is an error rather than a guess.
type dockerfile struct {
	build  []string // the command that makes the program, "go" first
	env    []string // for that
	output string   // what -o says

	user, volume, entry string
	ports               []int
	finalEnv            []string
	health, cmd         []string
}

// readDockerfile reads its two stages.
func readDockerfile(t *testing.T) dockerfile {
	t.Helper()
	var d dockerfile
	stage := 0
	copied := ""
	for _, line := range instructions(string(readRepository(t, "Dockerfile"))) {
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		switch {
		case word == "FROM":
			stage++
			if stage == 2 && rest != "scratch" {
				t.Errorf("Dockerfile: the image is made from %s, want scratch", rest)
			}
			if stage == 1 && !regexp.MustCompile(`^--platform=\$BUILDPLATFORM golang:\d+\.\d+(\.\d+)?-[a-z]+ AS build$`).MatchString(rest) {
				t.Errorf("Dockerfile: FROM %s: not a Go image of one version and one system", rest)
			}
		case word == "ENV" && stage == 1:
			d.env = append(d.env, strings.Fields(rest)...)
		case word == "ENV":
			d.finalEnv = append(d.finalEnv, strings.Fields(rest)...)
		case word == "RUN" && strings.Contains(rest, "go build"):
			if d.build != nil {
				t.Fatal("Dockerfile: more than one go build")
			}
			words := shellWords(t, rest)
			for len(words) > 0 && strings.Contains(words[0], "=") {
				d.env, words = append(d.env, words[0]), words[1:]
			}
			o := slices.Index(words, "-o")
			if len(words) < 5 || words[0] != "go" || words[1] != "build" || o < 0 || o+1 >= len(words) {
				t.Fatalf("Dockerfile: RUN %s: not [NAME=VALUE …] go build … -o FILE PACKAGE", rest)
			}
			d.build, d.output = words, words[o+1]
		case word == "RUN" && (rest == "go mod download" || strings.HasPrefix(rest, "mkdir ")) && stage == 1:
		case word == "COPY" && stage == 2:
			words := strings.Fields(rest)
			from, to := words[len(words)-2], words[len(words)-1]
			if from == d.output && slices.Contains(words, "--from=build") {
				copied = to
			}
		case word == "USER":
			d.user = rest
		case word == "VOLUME":
			d.volume = strings.Join(execForm(t, rest), " ")
		case word == "EXPOSE":
			for _, p := range strings.Fields(rest) {
				n, err := strconv.Atoi(p)
				if err != nil {
					t.Fatalf("Dockerfile: EXPOSE %s: %v", rest, err)
				}
				d.ports = append(d.ports, n)
			}
		case word == "HEALTHCHECK":
			_, command, ok := strings.Cut(rest, " CMD ")
			if !ok {
				t.Fatalf("Dockerfile: HEALTHCHECK %s", rest)
			}
			d.health = execForm(t, command)
		case word == "ENTRYPOINT":
			d.entry = strings.Join(execForm(t, rest), " ")
		case word == "CMD":
			d.cmd = execForm(t, rest)
		case slices.Contains([]string{"WORKDIR", "ARG", "COPY"}, word):
		default:
			t.Fatalf("Dockerfile: %s: an instruction this test does not know", line)
		}
	}
	switch {
	case stage != 2 || d.build == nil:
		t.Fatalf("Dockerfile: %d stages, build %v", stage, d.build)
	case copied == "" || copied != d.entry:
		t.Errorf("Dockerfile: the program is copied to %q and started as %q", copied, d.entry)
	}
	for i, v := range d.env {
		d.env[i] = strings.NewReplacer("$TARGETOS", runtime.GOOS, "$TARGETARCH", runtime.GOARCH).Replace(v)
		if strings.Contains(d.env[i], "$") {
			t.Fatalf("Dockerfile: %s: a variable this test does not know", v)
		}
	}
	return d
}

// instructions are the lines of a Dockerfile without comments, continued ones joined.
func instructions(text string) []string {
	var all []string
	open := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		more := strings.HasSuffix(line, `\`)
		line = strings.TrimSpace(strings.TrimSuffix(line, `\`))
		if open {
			all[len(all)-1] += " " + line
		} else {
			all = append(all, line)
		}
		open = more
	}
	return all
}

// shellWords splits a command as a shell would, of whose syntax it knows blanks and double quotes.
func shellWords(t *testing.T, command string) []string {
	t.Helper()
	if i := strings.IndexAny(command, "'`;&|<>()\\*?~#"); i >= 0 || strings.Count(command, `"`)%2 != 0 {
		t.Fatalf("Dockerfile: RUN %s: more of a shell than this test knows", command)
	}
	var words []string
	for i, piece := range strings.Split(command, `"`) {
		switch {
		case i%2 == 1 && len(words) > 0:
			words[len(words)-1] += piece // right after a word such as -ldflags=
		default:
			words = append(words, strings.Fields(piece)...)
		}
	}
	return words
}

func execForm(t *testing.T, text string) []string {
	t.Helper()
	var words []string
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		t.Fatalf("Dockerfile: %s: not a list of words in JSON, which needs no shell: %v", text, err)
	}
	return words
}

// numericUser is one that is not root, as Kubernetes can check it.
var numericUser = regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`)

func TestDockerfile(t *testing.T) {
	t.Parallel()
	d := readDockerfile(t)
	if !numericUser.MatchString(d.user) {
		t.Errorf("USER %q, want numbers other than 0", d.user)
	}
	if !slices.Contains(d.env, "CGO_ENABLED=0") || !slices.Contains(d.build, "-trimpath") {
		t.Errorf("built with %v %v", d.env, d.build)
	}
	for _, p := range servePorts {
		if !slices.Contains(d.ports, p) {
			t.Errorf("port %d is not exposed", p)
		}
	}
	if !slices.Contains(d.finalEnv, "TMPDIR="+d.volume) {
		t.Errorf("%v: temporary files have no place but the volume %s", d.finalEnv, d.volume)
	}
	if want := []string{d.entry, "probe", "http://127.0.0.1:" + strconv.Itoa(servePorts["user"]) + "/ready"}; !slices.Equal(d.health, want) || !slices.Equal(d.cmd, []string{"serve"}) {
		t.Errorf("the health check %v is not of the command %v", d.health, d.cmd)
	}
	goMod := string(readRepository(t, "go.mod"))
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(goMod)[1]
	if !regexp.MustCompile(`golang:` + regexp.QuoteMeta(want) + `[.-]`).Match(readRepository(t, "Dockerfile")) {
		t.Errorf("go.mod wants Go %s, the Dockerfile another", want)
	}
}

// ignored is what .dockerignore keeps out of the build context, in the part of its syntax that it uses: * within a name, **
// over folders.
type ignored []*regexp.Regexp

func readIgnored(t *testing.T) ignored {
	t.Helper()
	var all ignored
	for line := range strings.Lines(string(readRepository(t, ".dockerignore"))) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.ContainsAny(line, `!?[\`) {
			t.Fatalf(".dockerignore: %s: a form this test does not know", line)
		}
		pattern := regexp.QuoteMeta(strings.TrimPrefix(path.Clean(line), "/"))
		pattern = strings.NewReplacer(`\*\*/`, `(.*/)?`, `\*`, `[^/]*`).Replace(pattern)
		all = append(all, regexp.MustCompile(`^`+pattern+`(/.*)?$`))
	}
	return all
}

func (g ignored) has(file string) bool {
	return slices.ContainsFunc(g, func(r *regexp.Regexp) bool { return r.MatchString(file) })
}

func TestDockerignore(t *testing.T) {
	t.Parallel()
	g := readIgnored(t)
	for _, file := range []string{
		".env", "deploy/.env", "deploy/kubernetes/kill-bill.env", "a/b/c.env", ".git/config", "captest-runs/x/run.json", "captest", "bin/captest",
		"cmd/captest/main_test.go", "targets/testdata/x", "README.md",
	} {
		if !g.has(file) {
			t.Errorf("%s would be sent to the builder", file)
		}
	}
	for _, file := range []string{"go.mod", "go.sum", "cmd/captest/main.go", "report/assets/page.html", "services/profiles.yaml", "environment.go", "cmd/captest/bin.go"} {
		if g.has(file) {
			t.Errorf("%s would not be sent to the builder", file)
		}
	}
}

// copyContext copies what the builder would get.
func copyContext(t *testing.T, to string) {
	t.Helper()
	g := readIgnored(t)
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := os.ReadDir(repository(dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			switch {
			case g.has(name):
			case e.IsDir():
				walk(name)
			case e.Type().IsRegular():
				if err := os.MkdirAll(path.Join(to, dir), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path.Join(to, name), readRepository(t, name), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	walk("")
}
