package main

import (
	"database/sql"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/captest/captest/internal/gate"
	"github.com/captest/captest/services/kit/storetest"
)

// TestStoreInPostgreSQL keeps a run's customers in a database, and its password to itself.
func TestStoreInPostgreSQL(t *testing.T) {
	u, err := url.Parse(storetest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), "s3cret-word") // the test server takes any
	stores := t.TempDir()
	t.Setenv("CAPTEST_STORE", u.String())
	p := start(t, "run", "--users", "20", "--concurrent", "4", "--target", cheap(t), "--store-dir", stores)
	if code := p.wait(); code != gate.ExitPass {
		t.Fatalf("exit %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	db, err := sql.Open("pgx", u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, query := range []string{
		`SELECT count(*) FROM captest_user.customers WHERE state = 'active'`,
		`SELECT count(*) FROM captest_billing.accounts`,
		`SELECT count(*) FROM captest_kill_bill.accounts`,
	} {
		n := -1
		if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != 20 {
			t.Errorf("%s: %d, want 20 (%v)", query, n, err)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(stores, "*.db")); len(files) > 0 {
		t.Errorf("SQLite files all the same: %v", files)
	}
	logged := false
	err = filepath.WalkDir(p.dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		logged = logged || strings.Contains(string(text), "postgres://"+u.User.Username()+"@"+u.Host+u.Path)
		if strings.Contains(string(text), "s3cret") {
			t.Errorf("the password is in %s", path)
		}
		return err
	})
	if err != nil || !logged {
		t.Errorf("no log names the store (%v)", err)
	}
	if all := p.stdout.String() + p.stderr.String(); strings.Contains(all, "s3cret") {
		t.Errorf("the password is shown:\n%s", all)
	}
}

func TestStoreThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no such kind":    {[]string{"run", "--store", "mysql://ann:s3cret@host/db"}, gate.ExitConfig, "--store: not the URL of a store"},
		"malformed":       {[]string{"serve", "--free-ports", "--store", "postgres://ann:s3cret@host:port/db"}, gate.ExitConfig, "--store: not a PostgreSQL URL"},
		"another's":       {[]string{"run", "--target", "http://127.0.0.1:1", "--store", "sqlite"}, gate.ExitConfig, "--store is for the bundled services"},
		"nobody's there":  {[]string{"serve", "--free-ports", "--store", "postgres://ann:s3cret@127.0.0.1:1/db"}, gate.ExitUnreachable, "is PostgreSQL running there"},
		"nor for the run": {[]string{"run", "--store", "postgres://ann:s3cret@127.0.0.1:1/db"}, gate.ExitUnreachable, "postgres://ann@127.0.0.1:1/db"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, x.args...)
			code := p.wait()
			text := p.stdout.String() + p.stderr.String()
			if code != x.code || !strings.Contains(text, x.want) || strings.Contains(text, "s3cret") {
				t.Errorf("exit %d, want %d and %q\n%s", code, x.code, x.want, text)
			}
		})
	}
}
