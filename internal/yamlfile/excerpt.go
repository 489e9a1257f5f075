package yamlfile

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// excerptWidth bounds how much of a line is shown, in characters.
const excerptWidth = 100

// userinfo finds the credentials of a URL: an excerpt must not print a password that someone wrote into a file.
var userinfo = regexp.MustCompile(`://[^/\s"']*@`)

// Mask hides the credentials of every URL in text, keeping its width.
func Mask(text string) string {
	return userinfo.ReplaceAllStringFunc(text, func(s string) string {
		return "://" + strings.Repeat("*", utf8.RuneCountInString(s)-len("://@")) + "@"
	})
}

// excerpt shows a line with a caret under the column:
//
//	14 |     duraton: 5s
//	   |     ^
func (f *File) excerpt(line, column int) string {
	if line < 1 || line > len(f.lines) {
		return ""
	}
	text := []rune(Mask(f.lines[line-1]))
	if len(text) == 0 {
		return ""
	}
	at := min(max(column-1, 0), len(text))
	from := 0
	if at > excerptWidth*3/4 {
		from = at - excerptWidth/2
	}
	shown := text[from:min(len(text), from+excerptWidth)]
	var pad strings.Builder
	for i := range at - from {
		if i < len(shown) && shown[i] == '\t' {
			pad.WriteByte('\t') // a tab above needs a tab below to line up
		} else {
			pad.WriteByte(' ')
		}
	}
	return fmt.Sprintf("%6d | %s\n       | %s^", line, string(shown), pad.String())
}
