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

	"github.com/captest/captest/internal/record"
)

// JSON writes the result as run.json has it, indented. Control characters that JSON itself allows unescaped (DEL and
// C1, which some terminals obey) are escaped, so that the output may be looked at in a terminal.
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

// escapeControls rewrites U+007F to U+009F as \u escapes. Outside strings JSON is ASCII without them, so this changes no value.
func escapeControls(data []byte) []byte {
	if !bytes.ContainsAny(data, "\u007f\u0080\u0081\u0082\u0083\u0084\u0085\u0086\u0087\u0088\u0089\u008a\u008b\u008c\u008d\u008e\u008f"+
		"\u0090\u0091\u0092\u0093\u0094\u0095\u0096\u0097\u0098\u0099\u009a\u009b\u009c\u009d\u009e\u009f") {
		return data
	}
	var out bytes.Buffer
	for _, r := range string(data) {
		if r >= 0x7f && r <= 0x9f {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.Bytes()
}
