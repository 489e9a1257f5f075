package report

import (
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// textMax bounds one string of a report: a server may put a megabyte into an error message.
const textMax = 600

// scrub gives a deep copy of v in which every string is safe to print: nothing a server says may move a cursor, change a
// colour, retitle a window or turn the reading direction. It works on any value, so that a field added later cannot be forgotten.
func scrub[T any](v T) T {
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	scrubInto(out, reflect.ValueOf(&v).Elem())
	return out.Interface().(T)
}

func scrubInto(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.String:
		dst.SetString(clean(src.String()))
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			scrubInto(dst.Elem(), src.Elem())
		}
	case reflect.Struct:
		dst.Set(src) // unexported fields (time.Time) are copied as they are
		for i := range src.NumField() {
			if src.Type().Field(i).IsExported() {
				scrubInto(dst.Field(i), src.Field(i))
			}
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			for i := range src.Len() {
				scrubInto(dst.Index(i), src.Index(i))
			}
		}
	case reflect.Map:
		if !src.IsNil() {
			dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
			for it := src.MapRange(); it.Next(); {
				k, v := reflect.New(it.Key().Type()).Elem(), reflect.New(it.Value().Type()).Elem()
				scrubInto(k, it.Key())
				scrubInto(v, it.Value())
				dst.SetMapIndex(k, v)
			}
		}
	default:
		dst.Set(src)
	}
}

// clean makes one string printable: escape sequences lose their introducer and so become harmless text, line breaks and
// tabs become spaces, direction overrides and zero-width characters go, invalid UTF-8 becomes U+FFFD, the length is bounded.
func clean(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	n := 0
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			r = ' '
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r):
			continue
		}
		if n++; n > textMax {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

func plain(s string) bool {
	if len(s) > textMax {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
				return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
			})
		}
	}
	return true
}
