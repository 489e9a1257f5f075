package kit

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// statements is what a pool, a connection and a transaction have in common.
type statements struct {
	on interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	rewrite func(query string) string // nil: the database takes ? as it is
}

// ExecContext runs a statement that gives no rows.
func (s statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return s.on.ExecContext(ctx, s.bound(query), storable(args)...)
}

// QueryContext runs a query; the caller closes the rows.
func (s statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.on.QueryContext(ctx, s.bound(query), storable(args)...)
}

// QueryRowContext runs a query for at most one row; Scan gives sql.ErrNoRows when there is none.
func (s statements) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return s.on.QueryRowContext(ctx, s.bound(query), storable(args)...)
}

func (s statements) bound(query string) string {
	if s.rewrite == nil {
		return query
	}
	return s.rewrite(query)
}

// numbered turns each ? of a statement into $1, $2, … as PostgreSQL wants them. Those in quotes and comments stay.
func numbered(query string) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(query); {
		rest := query[i:]
		length := 1
		switch {
		case rest[0] == '\'' || rest[0] == '"': // a doubled quote inside is the end of one and the start of another
			length = through(rest, 1, rest[:1])
		case strings.HasPrefix(rest, "--"):
			length = through(rest, 2, "\n")
		case strings.HasPrefix(rest, "/*"):
			length = through(rest, 2, "*/")
		case rest[0] == '?':
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			i++
			continue
		}
		b.WriteString(rest[:length])
		i += length
	}
	return b.String()
}

// through gives the length of text up to and with the first end at or after from, or all of it when there is none.
func through(text string, from int, end string) int {
	if i := strings.Index(text[from:], end); i >= 0 {
		return from + i + len(end)
	}
	return len(text)
}

// storable replaces what PostgreSQL's text cannot hold, NUL and bytes that are no UTF-8, by the replacement character, as
// the JSON decoder does. SQLite would take them, but a path or a header with such bytes is to be answered alike by both.
func storable(args []any) []any {
	var changed []any
	for i, arg := range args {
		text, ok := arg.(string)
		if p, isPointer := arg.(*string); isPointer && p != nil {
			text, ok = *p, true
		}
		if !ok {
			continue
		}
		clean := strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
		if clean == text {
			continue
		}
		if changed == nil {
			changed = append(changed, args...)
		}
		changed[i] = clean
	}
	if changed == nil {
		return args
	}
	return changed
}
