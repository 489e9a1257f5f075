package scenarios

import (
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseLimit(t *testing.T) {
	tests := []struct {
		expr string
		want Limit
	}{
		{"p95<1s", Limit{Metric: "p95", Quantile: 95, Op: "<", Value: 1000, Unit: "ms"}},
		{"p(95)<1000", Limit{Metric: "p95", Quantile: 95, Op: "<", Value: 1000, Unit: "ms"}},
		{"p( 99.9 ) <= 1.5s", Limit{Metric: "p99.9", Quantile: 99.9, Op: "<=", Value: 1500, Unit: "ms"}},
		{"p99.9<1s", Limit{Metric: "p99.9", Quantile: 99.9, Op: "<", Value: 1000, Unit: "ms"}},
		{"p99.90<1s", Limit{Metric: "p99.9", Quantile: 99.9, Op: "<", Value: 1000, Unit: "ms"}},
		{"register.p95<1s", Limit{Step: "register", Metric: "p95", Quantile: 95, Op: "<", Value: 1000, Unit: "ms"}},
		{"register.p99.9<1s", Limit{Step: "register", Metric: "p99.9", Quantile: 99.9, Op: "<", Value: 1000, Unit: "ms"}},
		{"create-account.p(50)<200ms", Limit{Step: "create-account", Metric: "p50", Quantile: 50, Op: "<", Value: 200, Unit: "ms"}},
		{"errors.errors<1%", Limit{Step: "errors", Metric: "errors", Op: "<", Value: 1, Unit: "%"}},
		{"mean<300ms", Limit{Metric: "mean", Op: "<", Value: 300, Unit: "ms"}},
		{"avg<300", Limit{Metric: "mean", Op: "<", Value: 300, Unit: "ms"}},
		{"med<1m", Limit{Metric: "p50", Quantile: 50, Op: "<", Value: 60000, Unit: "ms"}},
		{"min>1us", Limit{Metric: "min", Op: ">", Value: 0.001, Unit: "ms"}},
		{"max<=1m30s", Limit{Metric: "max", Op: "<=", Value: 90000, Unit: "ms"}},
		{"errors<1%", Limit{Metric: "errors", Op: "<", Value: 1, Unit: "%"}},
		{"errors<=0", Limit{Metric: "errors", Op: "<=", Value: 0, Unit: "%"}},
		{"goodput>400/min", Limit{Metric: "goodput", Op: ">", Value: 400.0 / 60, Unit: "/s"}},
		{"goodput>10/s", Limit{Metric: "goodput", Op: ">", Value: 10, Unit: "/s"}},
		{"goodput>10", Limit{Metric: "goodput", Op: ">", Value: 10, Unit: "/s"}},
		{"goodput>3600/h", Limit{Metric: "goodput", Op: ">", Value: 1, Unit: "/s"}},
		{"n>=200", Limit{Metric: "n", Op: ">=", Value: 200}},
		{" capacity >= 8/s ", Limit{Metric: "capacity", Op: ">=", Value: 8, Unit: "/s"}},
		{"recovery<10s", Limit{Metric: "recovery", Op: "<", Value: 10, Unit: "s"}},
		{"recovery<10", Limit{Metric: "recovery", Op: "<", Value: 10, Unit: "s"}},
		{"recovery<500ms", Limit{Metric: "recovery", Op: "<", Value: 0.5, Unit: "s"}},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			got, err := ParseLimit(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Expr = strings.TrimSpace(tt.expr)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if run := got.Metric == "capacity" || got.Metric == "recovery"; got.LoadLevel() == run {
				t.Errorf("LoadLevel = %v", got.LoadLevel())
			}
		})
	}
}

func TestParseLimitMistakes(t *testing.T) {
	tests := []struct {
		expr   string
		column int
		want   string
	}{
		{"", 1, "empty"},
		{"p95", 4, "no comparison; one of <, <=, >, >= must follow the metric"},
		{"<1s", 1, "no metric before <"},
		{"p95<", 5, "no value after the comparison"},
		{"p95==1s", 4, `"==" is not a comparison for a limit; use <, <=, > or >=`},
		{"p95≤1s", 4, `"≤" is not a comparison for a limit; use <, <=, > or >=`},
		{"p95 != 1s", 5, `"!=" is not a comparison for a limit; use <, <=, > or >=`},
		{"p100<1s", 1, `"p100" is not a percentile; p1 to p99.999 are, with more than 0 and less than 100`},
		{"a.p(0)<1s", 3, `"p(0)" is not a percentile; p1 to p99.999 are, with more than 0 and less than 100`},
		{"p9.9.9<1s", 1, `"p9.9.9" is not a percentile; p1 to p99.999 are, with more than 0 and less than 100`},
		{"erors<1%", 1, `unknown metric "erors" (did you mean "errors"?)`},
		{"register.goodptu>1/s", 10, `unknown metric "goodptu" (did you mean "goodput"?)`},
		{"register<1s", 1, `unknown metric "register"; there are p50…p99.9, mean, min, max, errors, goodput, n, capacity and recovery`},
		{"é.wrong<1s", 1, `"é" is not a step name`},
		{"register.capacity>1/s", 1, "capacity is judged for the whole run, not for a step"},
		{"p95<1%", 5, `p95 is compared with a time such as 800ms or 1s, not with "1%"`},
		{"p95<soon", 5, `"soon" is not a number`},
		{"p95<-1s", 5, "a limit cannot be negative"},
		{"p95<1.2.3", 5, `"1.2.3" is not a number`},
		{"errors<1s", 8, `errors is compared with a percentage such as 1%, not with "1s"`},
		{"errors<0.01", 8, "errors are a percentage: write 0.01%"},
		{"errors<101%", 8, "more than 100%"},
		{"errors<0%", 7, "nothing is below 0; write errors<=0"},
		{"goodput>5ms", 9, `goodput is compared with a rate such as 8/s or 400/min, not with "5ms"`},
		{"n>5ms", 3, `n is compared with a plain number, not with "5ms"`},
		{"  p95<x", 7, `"x" is not a number`},
		{"p95<1s<2s", 5, `p95 is compared with a time such as 800ms or 1s, not with "1s<2s"`},
		{strings.Repeat("p", 300), 1, "longer than 200 characters"},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			_, err := ParseLimit(tt.expr)
			var bad *LimitError
			if !errors.As(err, &bad) {
				t.Fatalf("error %T %v", err, err)
			}
			if bad.Column != tt.column || bad.Msg != tt.want {
				t.Errorf("column %d: %s\nwant %d: %s", bad.Column, bad.Msg, tt.column, tt.want)
			}
			if bad.Hint() == "" {
				t.Error("no hint")
			}
		})
	}
}

func TestLimitHolds(t *testing.T) {
	for _, tt := range []struct {
		op                  string
		below, equal, above bool
	}{
		{"<", true, false, false},
		{"<=", true, true, false},
		{">", false, false, true},
		{">=", false, true, true},
		{"", false, false, false},
	} {
		l := Limit{Op: tt.op, Value: 10}
		if l.Holds(9) != tt.below || l.Holds(10) != tt.equal || l.Holds(11) != tt.above {
			t.Errorf("%q: %v %v %v", tt.op, l.Holds(9), l.Holds(10), l.Holds(11))
		}
		if l.Holds(math.NaN()) {
			t.Errorf("%q holds for no number", tt.op)
		}
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]float64{"50/s": 50, "600/min": 10, "7200/h": 2, " 1.5 / s ": 1.5, "0/s": 0} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "50", "/s", "50/", "50/day", "-1/s", "NaN/s", "Inf/s", "1e9/s", "50/s/s"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("ParseRate(%q) = %v", text, got)
		}
	}
}

func FuzzParseLimit(f *testing.F) {
	for _, seed := range []string{
		"register.p95<1s", "p(95)<1000", "errors<1%", "goodput>400/min", "capacity>=8/s", "recovery<10s", "p99.9<1s", "a.b.c<1", "<", "p<1", "p(<1", "n>=1e9",
		"é.p95<1s", "p95≤1s", "p95<1h1m", "p95<9999999999999999999h", "\xff<1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		l, err := ParseLimit(expr)
		if err != nil {
			var bad *LimitError
			if !errors.As(err, &bad) || bad.Column < 1 || bad.Column > utf8.RuneCountInString(expr)+1 || bad.Msg == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if math.IsNaN(l.Value) || math.IsInf(l.Value, 0) || l.Value < 0 {
			t.Fatalf("%q: value %v", expr, l.Value)
		}
		if _, _, known := parseMetric(l.Metric); !known {
			t.Fatalf("%q: metric %q is not its own normal form", expr, l.Metric)
		}
		again, err := ParseLimit(l.Expr)
		if err != nil || again != l {
			t.Fatalf("%q reads again as %+v, %v", l.Expr, again, err)
		}
	})
}
