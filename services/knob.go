package services

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// knob is one row of profiles.yaml.
type knob struct {
	Name   string            `yaml:"knob"`
	For    []string          `yaml:"for"`    // services it makes sense for
	Values string            `yaml:"values"` // alternatives with | between: words, or ranges low..high
	Set    map[string]string `yaml:"set"`    // by profile
	Means  string            `yaml:"means"`
}

// allows says whether a value is one of the alternatives; the error says what is.
func (k *knob) allows(value string) error {
	for alternative := range strings.SplitSeq(k.Values, "|") {
		low, high, isRange := strings.Cut(alternative, "..")
		if !isRange && value == alternative || isRange && within(value, low, high) {
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %s", value, strings.ReplaceAll(k.Values, "|", ", "))
}

// within says whether value lies in the range and is of its kind: whole numbers, decimals or durations.
func within(value, low, high string) bool {
	if l, err := strconv.Atoi(low); err == nil {
		h, err := strconv.Atoi(high)
		v, bad := strconv.Atoi(value)
		return err == nil && bad == nil && v >= l && v <= h
	}
	if l, err := strconv.ParseFloat(low, 64); err == nil {
		h, err := strconv.ParseFloat(high, 64)
		v, bad := strconv.ParseFloat(value, 64)
		return err == nil && bad == nil && v >= l && v <= h
	}
	l, err := time.ParseDuration(low)
	h, err2 := time.ParseDuration(high)
	v, bad := time.ParseDuration(value)
	return err == nil && err2 == nil && bad == nil && v >= l && v <= h
}

// KnobError is a knob, service, profile or value that does not exist. All mistakes are reported together, joined.
type KnobError struct {
	Setting string // as given: "user.hash=lop"
	Problem string
	Meant   string // a likely spelling, "" for none
}

func (e *KnobError) Error() string { return "knob " + e.Setting + ": " + e.Problem }

// Hint is the next step.
func (e *KnobError) Hint() string {
	if e.Meant != "" {
		return "did you mean " + e.Meant + "?"
	}
	return "captest serve --help lists the knobs and their values"
}

// nearest is the candidate most like given, "" when none is near: a third of its letters may differ.
func nearest(given string, candidates []string) string {
	best, distance := "", max(2, len(given)/3)+1
	for _, c := range candidates {
		if d := edits(strings.ToLower(given), c); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// edits is the Levenshtein distance: letters to insert, delete or replace to turn a into b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			corner, row[j+1] = row[j+1], min(corner+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// words are the alternatives that are not ranges.
func (k *knob) words() []string {
	return slices.DeleteFunc(strings.Split(k.Values, "|"), func(s string) bool { return strings.Contains(s, "..") })
}
