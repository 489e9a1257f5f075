package drive

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/captest/captest/internal/record"
)

// Example is one kind of failure, told once: enough to look for the cause, and nothing that must not be written down.
type Example struct {
	Step, Class string
	Detail      string // what went wrong, and the beginning of the first such answer
	N           uint64 // how often
}

const (
	examplesMax  = 16
	exampleBody  = 512 // bytes of an answer looked at
	exampleRunes = 120 // characters of it told
	secretMin    = 4   // shorter environment values are no secrets
)

// examples keeps the first few distinct failures. It is off the path of requests that succeed.
type examples struct {
	mu      sync.Mutex
	list    []Example
	keys    map[exampleKey]int
	secrets map[string]bool // values taken from the environment
}

type exampleKey struct{ step, class, detail string }

func newExamples() *examples {
	return &examples{keys: map[exampleKey]int{}, secrets: map[string]bool{}}
}

// add counts a failure. Answers differ in every identity they carry, so that what tells one kind from another is the detail
// without them.
func (e *examples) add(step string, class record.ErrorClass, detail string, answer []byte) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	key := exampleKey{step, class.String(), detail}
	if i, ok := e.keys[key]; ok {
		e.list[i].N++
		return
	}
	if len(e.list) == examplesMax {
		same := func(x Example) bool { return x.Step == step && x.Class == key.class }
		if i := slices.IndexFunc(e.list, same); i >= 0 {
			e.list[i].N++
		}
		return
	}
	told := detail
	if len(answer) > 0 {
		told += ": " + e.clean(answer)
	}
	e.keys[key] = len(e.list)
	e.list = append(e.list, Example{Step: step, Class: key.class, Detail: told, N: 1})
}

// all gives what was kept, most frequent first.
func (e *examples) all() []Example {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := slices.Clone(e.list)
	slices.SortStableFunc(list, func(a, b Example) int { return cmp.Compare(b.N, a.N) })
	return list
}

// watch remembers every value read from the environment, to keep it out of the examples.
func (e *examples) watch(env func(string) string) func(string) string {
	return func(name string) string {
		value := env(name)
		if value == "" {
			return ""
		}
		e.mu.Lock()
		e.secrets[value] = true // as many as the scenario names
		e.mu.Unlock()
		return value
	}
}

// secretField finds values of fields that are secret by their name, in JSON and in forms.
var secretField = regexp.MustCompile(`(?i)("?[\w-]*(?:token|password|passwd|secret|session|cookie|authorization|api[_-]?key|credential)[\w-]*"?\s*[:=]\s*)("(?:[^"\\]|\\.)*"?|[^\s&,;}"]+)`)

// clean makes the beginning of an answer fit to be shown: no secrets, printable, short.
func (e *examples) clean(answer []byte) string {
	text := strings.ToValidUTF8(string(answer[:min(len(answer), exampleBody)]), "")
	for value := range e.secrets {
		if len(value) < secretMin {
			continue // would blot out every "1"
		}
		text = strings.ReplaceAll(text, value, "***")
	}
	text = secretField.ReplaceAllString(text, "${1}***")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) > exampleRunes {
		text = string([]rune(text)[:exampleRunes-1]) + "…"
	}
	return text
}
