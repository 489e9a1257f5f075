package kit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// SQLite is the word for the embedded store, where a URL may stand.
const SQLite = "sqlite"

// connectPatience bounds the opening of a store, and of each of its connections.
const connectPatience = 10 * time.Second

// StoreConfig says where a service keeps its rows. Printed, it is the place without any password.
type StoreConfig struct {
	URL  string // "" or sqlite: the file Dir/Name.db; postgres://user@host:port/database: the schema captest_Name there
	Dir  string // folder of the SQLite file, made when missing
	Name string // of the service
	Pool int    // connections, idle ones included
}

// Store is a service's database: SQLite or PostgreSQL. Statements are written with ? for either.
type Store struct {
	statements
	db *sql.DB
}

// Conn is one connection of a store. Whoever does not close it has taken it from the pool for ever.
type Conn struct {
	statements
	conn     *sql.Conn
	giveBack func() error
}

// Tx is a transaction of a store.
type Tx struct {
	statements
	tx *sql.Tx
}

// OpenStore opens a store, makes it when there is none, and brings it to the given schema: statements that may be repeated,
// in words both databases know (BIGINT for milliseconds: PostgreSQL's INTEGER has 32 bits; BLOB for bytes, see tables).
// It gives up after ten seconds. What was answered for is kept when the service is killed, in either store.
func OpenStore(ctx context.Context, c StoreConfig, schema string) (*Store, error) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	db, err := c.open(ctx, schema)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", c.Name, err)
	}
	if err := fillPool(ctx, db, c.Pool); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: open %d connections: %w", c.Name, c.Pool, err), db.Close())
	}
	s := &Store{statements: statements{on: perRequest{db}}, db: db}
	if c.Postgres() {
		s.rewrite = numbered
	}
	return s, nil
}

// fillPool opens every connection of the pool at the start. Opened when they are first needed, they would fail for want of
// a descriptor or of a place at the server in the very moment that the service is full.
func fillPool(ctx context.Context, db *sql.DB, size int) (err error) {
	var all []*sql.Conn
	defer func() {
		for _, c := range all {
			err = errors.Join(err, c.Close())
		}
	}()
	for range size {
		c, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	return nil
}

func (c StoreConfig) open(ctx context.Context, schema string) (*sql.DB, error) {
	if c.Postgres() {
		return openPostgres(ctx, c, schema)
	}
	if err := CheckStore(c.URL); err != nil {
		return nil, err
	}
	return openSQLite(ctx, c, schema)
}

// pooled opens as many connections as the knob db_pool says, and keeps them all.
func (c StoreConfig) pooled(db *sql.DB) *sql.DB {
	db.SetMaxOpenConns(c.Pool)
	db.SetMaxIdleConns(c.Pool)
	return db
}

// Postgres says whether the store is PostgreSQL.
func (c StoreConfig) Postgres() bool {
	return strings.HasPrefix(c.URL, "postgres://") || strings.HasPrefix(c.URL, "postgresql://")
}

// String names the place: the file, or the database as postgres://user@host:port/database.
func (c StoreConfig) String() string {
	if c.Postgres() {
		return postgresPlace(c.URL)
	}
	return c.file()
}

// CheckStore says what is wrong with the URL of a store, without connecting to it and without repeating it: it may hold a
// password.
func CheckStore(url string) error {
	c := StoreConfig{URL: url}
	if c.Postgres() {
		_, err := parsePostgres(url)
		return err
	}
	if url != "" && url != SQLite {
		return errors.New("not the URL of a store: want postgres://user@host:port/database, or sqlite for a file")
	}
	return nil
}

// IsDuplicate says whether a statement failed because a unique value is there already.
func IsDuplicate(err error) bool { return sqliteDuplicate(err) || postgresDuplicate(err) }

// DB is the pool, for what is not a statement: its metrics.
func (s *Store) DB() *sql.DB { return s.db }

// PingContext asks for a sign of life.
func (s *Store) PingContext(ctx context.Context) error { return s.db.PingContext(ctx) }

// Close closes the connections that are not in use, and the others when they are given back.
func (s *Store) Close() error { return s.db.Close() }

// Conn takes a connection from the pool, or the one that the request of ctx keeps; the caller closes it.
func (s *Store) Conn(ctx context.Context) (*Conn, error) {
	conn, kept, err := sessionConn(ctx, s.db)
	if err != nil {
		return nil, err
	}
	if conn != nil {
		return &Conn{statements: statements{on: conn, rewrite: s.rewrite}, conn: conn, giveBack: kept.lend()}, nil
	}
	if conn, err = s.db.Conn(ctx); err != nil {
		return nil, err
	}
	return &Conn{statements: statements{on: conn, rewrite: s.rewrite}, conn: conn, giveBack: conn.Close}, nil
}

// Close gives the connection back to its pool.
func (c *Conn) Close() error { return c.giveBack() }

// Begin starts a transaction that is going to write; the caller commits it or rolls it back.
func (s *Store) Begin(ctx context.Context) (*Tx, error) {
	conn, _, err := sessionConn(ctx, s.db)
	if err != nil {
		return nil, err
	}
	if conn != nil {
		return s.begun(conn.BeginTx(ctx, nil))
	}
	return s.begun(s.db.BeginTx(ctx, nil))
}

// Begin is a Store's, on this connection.
func (c *Conn) Begin(ctx context.Context) (*Tx, error) { return c.begun(c.conn.BeginTx(ctx, nil)) }

func (s statements) begun(tx *sql.Tx, err error) (*Tx, error) {
	if err != nil {
		return nil, err
	}
	return &Tx{statements: statements{on: tx, rewrite: s.rewrite}, tx: tx}, nil
}

// Commit makes the transaction last.
func (t *Tx) Commit() error { return t.tx.Commit() }

// Rollback undoes it; after Commit it does nothing and returns an error that says so.
func (t *Tx) Rollback() error { return t.tx.Rollback() }
