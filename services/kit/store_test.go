package kit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/captest/captest/services/kit/storetest"
)

const testSchema = `
CREATE TABLE IF NOT EXISTS x (id TEXT PRIMARY KEY, name TEXT UNIQUE, bytes BLOB, at BIGINT); -- is this a comment?
CREATE INDEX IF NOT EXISTS x_at ON x (at) WHERE at > 0;
`

// opened is the store s over a configuration, closed when the test ends.
func opened(t *testing.T, c StoreConfig) *Store {
	t.Helper()
	db, err := OpenStore(t.Context(), c, testSchema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func place(t *testing.T) StoreConfig {
	t.Helper()
	return StoreConfig{URL: storetest.URL(t), Dir: t.TempDir(), Name: "with-dash", Pool: 3}
}

func names(t *testing.T, db *Store) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT name FROM x WHERE id <> '?' ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestStoreKeepsItsRows(t *testing.T) {
	c := place(t)
	for run := range 2 { // the second opens the store while the first has not closed it, as after a kill
		db := opened(t, c)
		_, err := db.ExecContext(t.Context(), `INSERT INTO x VALUES (?, ?, ?, ?)`, "a", "b", []byte{0, 255}, int64(1)<<40)
		if duplicate := IsDuplicate(err); duplicate != (run == 1) {
			t.Errorf("run %d: %v", run, err)
		}
		if _, err = db.ExecContext(t.Context(), `INSERT INTO x (id, name) VALUES ('c', ?)`, "b"); !IsDuplicate(err) {
			t.Errorf("a name twice: %v", err)
		}
		if _, err = db.ExecContext(t.Context(), `INSERT INTO y VALUES (?)`, "b"); err == nil || IsDuplicate(err) {
			t.Errorf("no such table: %v", err)
		}
	}
	var bytes []byte
	var at int64
	err := opened(t, c).QueryRowContext(t.Context(), `SELECT bytes, at FROM x WHERE name = ? AND id <> '?'`, "b").Scan(&bytes, &at)
	if err != nil || string(bytes) != "\x00\xff" || at != 1<<40 {
		t.Errorf("%v %d %v", bytes, at, err)
	}
}

func TestStoreTransactionsAndConnections(t *testing.T) {
	db := opened(t, place(t))
	for name, keep := range map[string]bool{"kept": true, "undone": false} {
		tx, err := db.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), `INSERT INTO x (id, name) VALUES (?, ?)`, name, name); err != nil {
			t.Error(err)
		}
		if keep {
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if err != nil {
			t.Error(err)
		}
	}
	if got := names(t, db); len(got) != 1 || got[0] != "kept" {
		t.Errorf("rows %v", got)
	}
	var held []*Conn
	for range 3 { // the whole pool
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := db.ExecContext(short, `DELETE FROM x`); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beyond the pool: %v", err)
	}
	if _, err := held[0].ExecContext(t.Context(), `DELETE FROM x WHERE name = ?`, "kept"); err != nil {
		t.Error(err)
	}
	for _, conn := range held {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := db.QueryRowContext(t.Context(), `SELECT name FROM x`).Scan(new(string)); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("no rows: %v", err)
	}
	if s := db.DB().Stats(); s.MaxOpenConnections != 3 || s.OpenConnections != 3 {
		t.Errorf("pool %+v", s)
	}
}

// What no text column of PostgreSQL holds is found again all the same, in either store.
func TestStoreTakesAnyText(t *testing.T) {
	db := opened(t, place(t))
	for i, text := range []string{"nul\x00", "broken\xff", "ü?$1'"} {
		if _, err := db.ExecContext(t.Context(), `INSERT INTO x (id, name, at) VALUES (?, ?, ?)`, text, &text, i); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		var at int
		if err := db.QueryRowContext(t.Context(), `SELECT at FROM x WHERE id = ?`, text).Scan(&at); err != nil || at != i {
			t.Errorf("%q: %d %v", text, at, err)
		}
	}
}

func TestStoresOpenedAtOnce(t *testing.T) {
	c := place(t)
	var wg sync.WaitGroup
	for i := range 16 {
		c := c
		c.Name = fmt.Sprint("service-", i%2)
		c.Pool = 1
		wg.Go(func() {
			db, err := OpenStore(t.Context(), c, testSchema)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = db.Close() }()
			if _, err := db.ExecContext(t.Context(), `INSERT INTO x (id, name) VALUES (?, ?)`, fmt.Sprint(i), fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 2 { // and each service sees its own rows only
		c.Name = fmt.Sprint("service-", i)
		if got := names(t, opened(t, c)); len(got) != 8 {
			t.Errorf("%s has %v", c.Name, got)
		}
	}
}

func TestSQLiteFileIsPrivate(t *testing.T) {
	c := StoreConfig{URL: SQLite, Dir: filepath.Join(t.TempDir(), "with space and %20?#"), Name: "s", Pool: 1}
	opened(t, c)
	info, err := os.Stat(c.String())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	if _, err := OpenStore(t.Context(), StoreConfig{Name: "s", Pool: 1}, ""); err == nil {
		t.Error("a store without a directory was opened")
	}
}

func TestPlaceholders(t *testing.T) {
	for query, want := range map[string]string{
		`SELECT 1`:                        `SELECT 1`,
		`INSERT INTO x VALUES (?, ?)`:     `INSERT INTO x VALUES ($1, $2)`,
		`SELECT '?', 'it''s ?', ?`:        `SELECT '?', 'it''s ?', $1`,
		`SELECT "a?" FROM x WHERE b = ?`:  `SELECT "a?" FROM x WHERE b = $1`,
		"SELECT 1 -- what?\n WHERE a = ?": "SELECT 1 -- what?\n WHERE a = $1",
		`SELECT /* what? */ ? /* ? `:      `SELECT /* what? */ $1 /* ? `,
		`SELECT 'open ?`:                  `SELECT 'open ?`,
		`??`:                              `$1$2`,
		``:                                ``,
	} {
		if got := numbered(query); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, got, want)
		}
	}
}

func TestBadStoreURLsAreRefusedWithoutTheirPassword(t *testing.T) {
	for _, url := range []string{
		"mysql://ann:s3cret@host/db", "s3cret", "postgres://ann:s3cret@host:port/db", "postgres://ann:s3cret@host/db?sslmode=never",
		"postgres://ann:s3c/ret@host/db", "postgres://ann:%zzs3cret@host/db", "postgres://host/db?password=s3cret&sslmode=never",
		"postgres://host/db?pass%77ord=s3cret&sslmode=never", "postgres://ann:s3cret@[::1/db", "postgres://ann@host/db?sslmode=never",
	} {
		for name, err := range map[string]error{
			"check": CheckStore(url),
			"open": func() error {
				_, err := OpenStore(t.Context(), StoreConfig{URL: url, Dir: t.TempDir()}, "")
				return err
			}(),
		} {
			if err == nil || !strings.Contains(err.Error(), "URL") || strings.Contains(err.Error(), "s3c") || strings.Contains(err.Error(), "ret@") {
				t.Errorf("%s %s: %v", name, url, err)
			}
		}
		if s := fmt.Sprint(StoreConfig{URL: url}); strings.Contains(s, "s3c") || strings.Contains(s, "ret@") {
			t.Errorf("%s is printed as %s", url, s)
		}
	}
	for url, want := range map[string]string{
		"":       "dir/user.db",
		"sqlite": "dir/user.db",
		"postgres://ann:s3cret@host:1/db?sslmode=disable":         "postgres://ann@host:1/db",
		"postgresql://ann@host/db":                                "postgres://ann@host:5432/db",
		"postgres://ann@/db?host=/run/postgresql&password=s3cret": "postgres://ann@/db?host=/run/postgresql",
	} {
		if err := CheckStore(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if got := (StoreConfig{URL: url, Dir: "dir", Name: "user"}).String(); got != want {
			t.Errorf("%s is printed as %s, want %s", url, got, want)
		}
	}
}

func TestAStoreThatCannotBeReachedIsAnErrorInTime(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for name, ln := range map[string]net.Listener{"silent": silent, "gone": gone} {
		url := fmt.Sprintf("postgres://ann:s3cret@%s/db?connect_timeout=1", ln.Addr())
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		_, err := OpenStore(ctx, StoreConfig{URL: url, Name: "user", Pool: 1}, testSchema)
		if ctx.Err() != nil {
			t.Errorf("%s: took longer than it may", name)
		}
		cancel()
		if err == nil || !strings.Contains(err.Error(), "store user: postgres://ann@"+ln.Addr().String()+"/db") ||
			!strings.Contains(err.Error(), "PGPASSWORD") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
