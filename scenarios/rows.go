package scenarios

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a CSV file: its rows stay in memory for the whole run.
const (
	rowsMaxBytes   = 16 << 20
	rowsMaxCount   = 200_000
	rowsMaxColumns = 100
)

// Table is a CSV file with a header line.
type Table struct {
	Columns []string
	rows    []map[string]string
}

// Len is the number of rows, at least 1.
func (t *Table) Len() int { return len(t.rows) }

// Row gives journey n's row; after the last row the first comes again. The map is shared: read it only.
func (t *Table) Row(n uint64) map[string]string { return t.rows[n%uint64(len(t.rows))] }

// RowsError is a mistake in a CSV file.
type RowsError struct {
	File         string
	Line, Column int // from 1; Column 0 when the whole line is meant
	Msg          string
}

// Error is "file:line:column: message".
func (e *RowsError) Error() string {
	switch {
	case e.Line == 0:
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	case e.Column == 0:
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// Hint shows the form.
func (e *RowsError) Hint() string {
	return "the first line names the columns (email,password), each later line is one row with as many values"
}

// ParseRows reads CSV text with a header line. The error is a *RowsError.
func ParseRows(file string, data []byte) (*Table, error) {
	fail := func(line, column int, format string, args ...any) (*Table, error) {
		return nil, &RowsError{File: file, Line: line, Column: column, Msg: fmt.Sprintf(format, args...)}
	}
	if len(data) > rowsMaxBytes {
		return fail(0, 0, "larger than %d MiB", rowsMaxBytes>>20)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // spreadsheets write a byte order mark
	if !utf8.Valid(data) {
		return fail(0, 0, "not UTF-8 text")
	}
	r := csv.NewReader(bytes.NewReader(data))
	columns, err := r.Read()
	if errors.Is(err, io.EOF) {
		return fail(0, 0, "empty")
	}
	if err != nil {
		return nil, csvError(file, err)
	}
	if len(columns) > rowsMaxColumns {
		return fail(1, 0, "%d columns, at most %d", len(columns), rowsMaxColumns)
	}
	for i, name := range columns {
		columns[i] = strings.TrimSpace(name)
		line, column := r.FieldPos(i)
		if columns[i] == "" || strings.ContainsAny(columns[i], " \t\"{}") {
			return fail(line, column, "%q is not a column name: no spaces, quotes or braces", columns[i])
		}
		if slices.Contains(columns[:i], columns[i]) {
			return fail(line, column, "column %q appears twice", columns[i])
		}
	}
	t := &Table{Columns: columns}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, csvError(file, err)
		}
		if len(t.rows) == rowsMaxCount {
			return fail(0, 0, "more than %d rows", rowsMaxCount)
		}
		row := make(map[string]string, len(columns))
		for i, name := range columns {
			row[name] = record[i]
		}
		t.rows = append(t.rows, row)
	}
	if len(t.rows) == 0 {
		return fail(0, 0, "a header line and no rows")
	}
	return t, nil
}

// csvError places the reader's error.
func csvError(file string, err error) error {
	var bad *csv.ParseError
	if !errors.As(err, &bad) {
		return &RowsError{File: file, Msg: err.Error()}
	}
	msg := bad.Err.Error()
	if errors.Is(bad.Err, csv.ErrFieldCount) {
		msg = "not as many values as the first line has columns"
	}
	return &RowsError{File: file, Line: bad.Line, Column: bad.Column, Msg: msg}
}
