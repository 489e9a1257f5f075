package scenarios

import "net/http"

// Header is the head of an answer, as whoever received it has it.
type Header interface {
	// Field gives value i (from 0) of a field, in the order they came; ok is false when there are not as many. The name's
	// case does not matter. The value may be memory that is used again for the next answer.
	Field(name string, i int) (value []byte, ok bool)
}

// HTTPHeader is the head as net/http has it.
type HTTPHeader http.Header

// Field implements Header.
func (h HTTPHeader) Field(name string, i int) (value []byte, ok bool) {
	values := http.Header(h).Values(name)
	if i >= len(values) {
		return nil, false
	}
	return []byte(values[i]), true
}

// headerField is a Field of a head that may be missing.
func headerField(h Header, name string, i int) (value []byte, ok bool) {
	if h == nil {
		return nil, false
	}
	return h.Field(name, i)
}

func hasValue(h Header, name, want string) bool {
	for i := 0; ; i++ {
		value, ok := headerField(h, name, i)
		if !ok || string(value) == want {
			return ok
		}
	}
}
