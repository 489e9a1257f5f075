package kit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// OpenStore opens the SQLite file dir/name.db, makes it when there is none, and brings it to the given schema (statements
// that may be repeated). pool is the number of connections. The file is readable by its owner only.
func OpenStore(ctx context.Context, dir, name string, pool int, schema string) (*sql.DB, error) {
	if dir == "" {
		return nil, fmt.Errorf("store %s: no directory given", name)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store %s: %w", name, err)
	}
	file := filepath.Join(dir, name+".db")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600) // SQLite gives its -wal and -shm the same mode
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("store %s: %w", name, err)
	}
	options := url.Values{
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)"},
		"_txlock": {"immediate"}, // a transaction that is going to write says so at once: no deadlock between two upgrades
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: url.PathEscape(file), RawQuery: options.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", name, err)
	}
	db.SetMaxOpenConns(pool)
	db.SetMaxIdleConns(pool)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", name, err), db.Close())
	}
	return db, nil
}

// IsDuplicate says whether a statement failed because a unique value is there already.
func IsDuplicate(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}
