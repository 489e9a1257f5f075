package kit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// schemaLock is the advisory lock under which a schema is made (the bytes of "captest"). CREATE … IF NOT EXISTS is no help
// against another session that is just creating the same: both see nothing, and one fails.
const schemaLock = 0x63617074657374

// openPostgres connects to the database of c.URL and makes the service's own schema there.
func openPostgres(ctx context.Context, c StoreConfig, schema string) (*sql.DB, error) {
	config, err := parsePostgres(c.URL)
	if err != nil {
		return nil, err
	}
	own := "captest_" + strings.ReplaceAll(c.Name, "-", "_")
	config.RuntimeParams["search_path"] = pgx.Identifier{own}.Sanitize() // sent when a connection opens, so all have it
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "captest " + c.Name
	}
	if config.ConnectTimeout == 0 || config.ConnectTimeout > connectPatience {
		config.ConnectTimeout = connectPatience // also for the connections the pool opens later
	}
	db := c.pooled(stdlib.OpenDB(*config))
	if err := createSchema(ctx, db, own, schema); err != nil {
		err = fmt.Errorf("%s: %w", c, err)
		var refused *pgconn.ConnectError
		if errors.As(err, &refused) {
			err = fmt.Errorf("%w; is PostgreSQL running there, and does it take this user (password: PGPASSWORD or ~/.pgpass)?", err)
		}
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// createSchema makes the schema own unless somebody has, who then need not let the service make schemas, and its tables.
func createSchema(ctx context.Context, db *sql.DB, own, schema string) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // an error after Commit, which is as it should be
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(schemaLock)); err != nil {
		return fmt.Errorf("wait for the lock on schemas: %w", err)
	}
	var missing bool
	if err := tx.QueryRowContext(ctx, `SELECT to_regnamespace($1) IS NULL`, own).Scan(&missing); err != nil {
		return err
	}
	if missing {
		if _, err := tx.ExecContext(ctx, `CREATE SCHEMA `+pgx.Identifier{own}.Sanitize()); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, tables(schema)); err != nil {
		return err
	}
	return tx.Commit()
}

// tables is a schema in PostgreSQL's words: all that differs is the type of bytes.
func tables(schema string) string { return strings.ReplaceAll(schema, " BLOB", " BYTEA") }

// parsePostgres reads a URL. The driver's own message is shown only where the URL holds no password for it to repeat.
func parsePostgres(text string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(text)
	switch {
	case err == nil:
		return config, nil
	case mayHoldPassword(text):
		return nil, errors.New("not a PostgreSQL URL: want postgres://user@host:port/database, with the password in PGPASSWORD or ~/.pgpass (what is wrong is not shown: the URL may hold a password)")
	default:
		return nil, fmt.Errorf("not a PostgreSQL URL: %w", err)
	}
}

// HoldsPassword says whether a well-formed URL of a store has a password in it.
func HoldsPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return true
	}
	_, has := u.User.Password()
	return has || u.Query().Has("password") || u.Query().Has("sslpassword")
}

// mayHoldPassword errs on the safe side: of a malformed URL nobody can say where the password is.
func mayHoldPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return true
	}
	rest := strings.ToLower(u.EscapedPath() + u.RawQuery + u.EscapedFragment())
	return HoldsPassword(text) || strings.ContainsAny(rest, "@%:") || strings.Contains(rest, "pass")
}

// postgresPlace names user, host and database of a URL; host is a folder for a Unix socket.
func postgresPlace(text string) string {
	config, err := pgx.ParseConfig(text)
	if err != nil {
		return "postgres://…"
	}
	place := url.URL{Scheme: "postgres", User: url.User(config.User), Path: "/" + config.Database}
	if strings.HasPrefix(config.Host, "/") {
		place.RawQuery = "host=" + config.Host
	} else {
		place.Host = net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	}
	return place.String()
}

func postgresDuplicate(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "23505" // unique_violation
}
