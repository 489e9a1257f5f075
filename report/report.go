// Package report TELLS: it writes a result as text for a terminal, as one self-contained HTML page, and as JSON.
//
// It stands last in the line, after gate: everything it prints was measured, explained and judged before. It computes no
// verdict, sends nothing, and a page it writes loads nothing.
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"

	"github.com/captest/captest/internal/record"
)

// JSON writes the result as run.json has it, indented. Control characters that JSON itself allows unescaped (DEL, C1
// and direction overrides, which some terminals obey) are escaped, so that the output may be looked at in a terminal.
func JSON(w io.Writer, r *record.Result) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("report: encode result: %w", err)
	}
	_, err = w.Write(append(escapeControls(data), '\n'))
	if err != nil {
		return fmt.Errorf("report: write json: %w", err)
	}
	return nil
}

// escapeControls rewrites control and format characters above ASCII as \u escapes. Outside strings JSON has none of them, so
// this changes no value.
func escapeControls(data []byte) []byte {
	hidden := func(r rune) bool { return r >= 0x7f && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r)) }
	if !bytes.ContainsFunc(data, hidden) {
		return data
	}
	var out bytes.Buffer
	for _, r := range string(data) {
		switch {
		case !hidden(r):
			out.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}
