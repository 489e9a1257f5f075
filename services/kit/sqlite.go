package kit

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

func (c StoreConfig) file() string { return filepath.Join(c.Dir, c.Name+".db") }

// openSQLite opens the file Dir/Name.db, readable by its owner only. Write-ahead logging with synchronous=NORMAL keeps
// every answered write through a killed process; only a crash of the machine itself could lose the last ones.
func openSQLite(ctx context.Context, c StoreConfig, schema string) (*sql.DB, error) {
	if c.Dir == "" {
		return nil, errors.New("no directory given")
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(c.file(), os.O_CREATE|os.O_RDWR, 0o600) // SQLite gives its -wal and -shm the same mode
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	options := url.Values{
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)"},
		"_txlock": {"immediate"}, // a transaction that is going to write says so at once: no deadlock between two upgrades
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: url.PathEscape(c.file()), RawQuery: options.Encode()}).String())
	if err != nil {
		return nil, err
	}
	c.pooled(db)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func sqliteDuplicate(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}
