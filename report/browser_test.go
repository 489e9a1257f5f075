package report

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/captest/captest/internal/record"
)

// chromium gives a browser context, or skips with a clear line; with CAPTEST_REQUIRE_BROWSER=1 a missing browser is a failure.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome", "headless-shell"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		if os.Getenv("CAPTEST_REQUIRE_BROWSER") == "1" {
			t.Fatal("CAPTEST_REQUIRE_BROWSER=1, but no Chromium is in PATH")
		}
		t.Skip("no Chromium in PATH: the page is not looked at in a browser")
	}
	if testing.Short() && os.Getenv("CAPTEST_REQUIRE_BROWSER") != "1" {
		t.Skip("-short: the page is not looked at in a browser")
	}
	dir, err := os.MkdirTemp("", "captest-chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the browser's children may still write for a moment
		for range 50 {
			if os.RemoveAll(dir) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.UserDataDir(dir),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancelAllocator := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancelAllocator)
	ctx, cancelBrowser := chromedp.NewContext(ctx)
	t.Cleanup(cancelBrowser)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

type screen struct {
	name          string
	width, height int64
	mobile        bool
}

var screens = []screen{{"desktop", 1280, 800, false}, {"phone", 390, 844, true}}

// tab opens a fresh tab of the given size.
func tab(t *testing.T, browser context.Context, s screen) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: s.height, DeviceScaleFactor: 1, Mobile: s.mobile})
	return ctx
}

func call[P, R any](ctx context.Context, t *testing.T, cmd cdp.Command[P, R], params P) {
	t.Helper()
	if _, err := chromedp.Call(ctx, cmd, params); err != nil {
		t.Fatal(err)
	}
}

func eval[T any](ctx context.Context, t *testing.T, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// load opens the page and gives its diagrams a moment to be drawn.
func load(ctx context.Context, t *testing.T, url string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(url), chromedp.Sleep(150*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
}

// watched collects what a page must never do: log an error, throw, or ask for anything but itself.
type watched struct {
	mu       sync.Mutex
	problems []string
}

func (w *watched) add(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

func (w *watched) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.problems)
}

func watch(ctx context.Context, t *testing.T, url string) *watched {
	t.Helper()
	w := &watched{}
	call(ctx, t, network.Enable, network.EnableParams{})
	call(ctx, t, log.Enable, cdp.Empty{})
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			w.add("exception: %s", e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
				w.add("console %s", e.Type)
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
				w.add("log: %s", e.Entry.Text)
			}
		case *network.EventRequestWillBeSent:
			if u := e.Request.URL; u != url && !strings.HasPrefix(u, "data:") {
				w.add("request: %s", u)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func write(t *testing.T, run *record.Run, r *record.Result) (url string, size int) {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, run, r); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + file, b.Len()
}

// seen is what a reader gets from a page.
type seen struct {
	Text, Verdict, Heading string
	Sections               []string
	Charts                 int      // live ones
	Drawn                  int      // of them, canvases with ink on them
	Static                 int      // visible SVGs in time figures
	Width                  int      // of the page, in px; more than the screen scrolls sideways
	Images, Scripts        int      // elements that hostile strings would have made
	Pwned                  bool     // whether one of them ran
	SVGErrors              []string // attributes that are no numbers
	Unnamed                []string // tables without a caption, drawings without a title, regions without a label
	Headings               string   // levels in order
}

const look = `(() => {
	const shown = e => e.getClientRects().length > 0;
	const inked = c => { const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data; for (let i = 3; i < d.length; i += 4) if (d[i]) return true; return false; };
	const canvases = [...document.querySelectorAll(".uplot canvas")];
	return {
		Text: document.body.innerText, Verdict: document.getElementById("verdict").innerText, Heading: document.querySelector("h1").innerText,
		Sections: [...document.querySelectorAll("main section")].map(s => s.id),
		Charts: canvases.length, Drawn: canvases.filter(inked).length,
		Static: [...document.querySelectorAll("figure.time .static svg")].filter(shown).length,
		Width: document.documentElement.scrollWidth,
		Images: document.images.length, Scripts: document.scripts.length, Pwned: "pwned" in window,
		Unnamed: [...document.querySelectorAll("table")].filter(e => !e.caption || !e.caption.textContent && !e.closest(".u-legend") && !e.classList.contains("u-legend")).filter(e => !e.classList.contains("u-legend")).map(e => "table " + e.id)
			.concat([...document.querySelectorAll("svg[role=img]")].filter(e => !e.querySelector("title").textContent).map(() => "svg"))
			.concat([...document.querySelectorAll("[role=region]")].filter(e => !e.ariaLabel && !document.getElementById(e.getAttribute("aria-labelledby"))).map(() => "region")),
		Headings: [...document.querySelectorAll("h1,h2,h3")].map(e => e.tagName[1]).join(""),
		SVGErrors: [...document.querySelectorAll("svg *")].flatMap(e => [...e.attributes]).filter(a => /NaN|Infinity|undefined/.test(a.value)).map(a => a.name + "=" + a.value),
	};
})()`

// screenshots go here when CAPTEST_SCREENSHOTS names a folder.
func shoot(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("CAPTEST_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPage looks at the pages of all fixtures in one browser.
func TestPage(t *testing.T) {
	browser := chromium(t)
	t.Run("stands", func(t *testing.T) { standsInABrowser(t, browser) })
	t.Run("without scripts", func(t *testing.T) { readsWithoutScripts(t, browser) })
	t.Run("cursor and data", func(t *testing.T) { cursorAndData(t, browser) })
	t.Run("dark", func(t *testing.T) { dark(t, browser) })
}

func standsInABrowser(t *testing.T, browser context.Context) {
	t.Helper()
	for _, f := range fixtures {
		run, r := f.make(t)
		url, _ := write(t, run, r)
		for _, s := range screens {
			t.Run(f.name+" on a "+s.name, func(t *testing.T) {
				ctx := tab(t, browser, s)
				w := watch(ctx, t, url)
				load(ctx, t, url)
				v := eval[seen](ctx, t, look)
				if p := w.take(); len(p) > 0 {
					t.Errorf("the page did what it must not: %q", p)
				}
				if !strings.Contains(strings.ToLower(v.Verdict), r.Verdict) {
					t.Errorf("verdict shown as %q, is %s", v.Verdict, r.Verdict)
				}
				if v.Width > int(s.width) {
					t.Errorf("the page is %d px wide on %d", v.Width, s.width)
				}
				if v.Pwned || v.Images > 0 || v.Scripts != 4 {
					t.Errorf("a string became markup: ran %v, %d images, %d scripts", v.Pwned, v.Images, v.Scripts)
				}
				if len(v.SVGErrors) > 0 {
					t.Errorf("drawings with broken numbers: %v", v.SVGErrors)
				}
				if len(v.Unnamed) > 0 || !strings.HasPrefix(v.Headings, "12") || strings.Count(v.Headings, "1") != 1 {
					t.Errorf("not accessible: %q without a name, headings %s", v.Unnamed, v.Headings)
				}
				if v.Drawn != v.Charts {
					t.Errorf("%d of %d diagrams are empty", v.Charts-v.Drawn, v.Charts)
				}
				if len(run.Frames) > 0 && v.Charts < 3 {
					t.Errorf("only %d live diagrams", v.Charts)
				}
				if v.Static > 0 {
					t.Errorf("%d static diagrams beside the live ones", v.Static)
				}
				for _, id := range []string{"load", "timeline", "recovery", "connections", "steps-and-errors", "environment"} {
					if !slices.Contains(v.Sections, id) {
						t.Errorf("no section %s", id)
					}
				}
				if strings.Contains(v.Text, "NaN") || strings.Contains(v.Text, "<nil>") || strings.Contains(v.Text, "ZgotmplZ") {
					t.Error("a value that is none is shown")
				}
				shoot(ctx, t, f.name+"-"+s.name)
			})
		}
	}
}

func readsWithoutScripts(t *testing.T, browser context.Context) {
	t.Helper()
	run, r := wedged(t)
	url, _ := write(t, run, r)
	for _, s := range screens {
		t.Run(s.name, func(t *testing.T) {
			ctx := tab(t, browser, s)
			w := watch(ctx, t, url)
			call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			load(ctx, t, url)
			v := eval[seen](ctx, t, look)
			if p := w.take(); len(p) > 0 {
				t.Errorf("the page did what it must not: %q", p)
			}
			if v.Charts != 0 || v.Static < 6 {
				t.Errorf("%d live and %d static diagrams without scripts", v.Charts, v.Static)
			}
			if v.Width > int(s.width) {
				t.Errorf("the page is %d px wide on %d", v.Width, s.width)
			}
			for _, want := range []string{"Stuck after overload", "functional, kept", "http_requests_in_progress"} {
				if !strings.Contains(v.Text, want) {
					t.Errorf("%q is missing", want)
				}
			}
			shoot(ctx, t, "noscript-"+s.name)
		})
	}
}

// cursorAndData: one cursor reads every diagram at the same instant, and the embedded result is the one the page was made from.
func cursorAndData(t *testing.T, browser context.Context) {
	t.Helper()
	run, r := healthy(t)
	url, _ := write(t, run, r)
	ctx := tab(t, browser, screens[0])
	load(ctx, t, url)
	eval[chromedp.Void](ctx, t, `(() => { const o = document.querySelector("#chart-throughput .u-over"), b = o.getBoundingClientRect();
		o.dispatchEvent(new MouseEvent("mouseenter", {clientX: b.left + 5, clientY: b.top + 5}));
		o.dispatchEvent(new MouseEvent("mousemove", {clientX: b.left + b.width / 2, clientY: b.top + 50, bubbles: true})); })()`)
	if err := chromedp.Do(ctx, chromedp.Sleep(150*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	legends := eval[[]string](ctx, t, `[...document.querySelectorAll("#timeline .u-legend .u-series:first-child .u-value")].map(e => e.textContent)`)
	confirmed := eval[float64](ctx, t, `JSON.parse(document.getElementById("captest-run").textContent).capacity.per_second.confirmed`)
	schema := eval[int](ctx, t, `JSON.parse(document.getElementById("captest-run").textContent).schema_version`)
	if len(legends) != 3 || legends[0] == "–" || legends[0] == "" {
		t.Fatalf("the cursor reads %q", legends)
	}
	if diff := cmp.Diff([]string{legends[0], legends[0], legends[0]}, legends); diff != "" {
		t.Errorf("the cursors are at different instants:\n%s", diff)
	}
	if confirmed != *r.Capacity.PerSecond.Confirmed || schema != record.SchemaVersion {
		t.Errorf("embedded data: confirmed %v, schema %d", confirmed, schema)
	}
}

func dark(t *testing.T, browser context.Context) {
	t.Helper()
	run, r := healthy(t)
	url, _ := write(t, run, r)
	ctx := tab(t, browser, screens[0])
	call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	load(ctx, t, url)
	background := eval[string](ctx, t, `getComputedStyle(document.body).backgroundColor`)
	text := eval[string](ctx, t, `getComputedStyle(document.body).color`)
	if background == text || !strings.HasPrefix(background, "rgb(1") || !strings.HasPrefix(text, "rgb(2") {
		t.Errorf("dark theme: %s on %s", text, background)
	}
	shoot(ctx, t, "healthy-dark")
}
