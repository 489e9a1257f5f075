package drive

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/captest/captest/internal/record"
	"github.com/captest/captest/scenarios"
)

const (
	bodyMax    = 16 << 20 // of an answer, bytes; more is a protocol error
	bodyKept   = 1 << 20  // memory a user keeps for the next answer
	bodyAtOnce = 4 << 10  // memory it starts with
)

// read takes the body to its end, so that the connection can be kept, and says how long it was. When it is wanted whole it
// stands in u.answer; otherwise u.answer holds its beginning, enough for an example of a failure.
func (u *user) read(body io.Reader, whole bool) (n int64, err error) {
	if cap(u.answer) == 0 || cap(u.answer) > bodyKept {
		u.answer = make([]byte, 0, bodyAtOnce)
	}
	u.answer = u.answer[:0]
	for {
		if len(u.answer) == cap(u.answer) {
			if whole {
				u.answer = slices.Grow(u.answer, len(u.answer))
			} else {
				u.answer = u.answer[:exampleBody] // beyond the excerpt the buffer is only a sink
			}
		}
		k, err := body.Read(u.answer[len(u.answer):cap(u.answer)])
		u.answer = u.answer[:len(u.answer)+k]
		if n += int64(k); n > bodyMax {
			return n, errTooLarge
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// judge says whether a complete answer is the expected one, and takes the captures from it.
func (u *user) judge(s *step, status int, header scenarios.Header) (record.ErrorClass, string) {
	u.body = scenarios.Body{Raw: u.answer}
	if s.whole {
		if coding, _ := header.Field("Content-Encoding", 0); string(coding) == "gzip" {
			plain, err := gunzip(u.answer)
			if err != nil {
				return record.ErrorProtocol, "gzip: " + err.Error()
			}
			u.body.Raw = plain
		}
	}
	switch outcome, detail := s.expect.Check(status, header, &u.body); outcome {
	case scenarios.Expected:
	case scenarios.WrongStatus:
		return record.ErrorStatus, detail
	default:
		return record.ErrorCheck, detail
	}
	for i := range s.captures {
		from := len(u.made)
		var err error
		if u.made, err = s.captures[i].Append(u.made, header, &u.body); err != nil {
			return record.ErrorCheck, err.Error()
		}
		u.values.Vars[s.captures[i].Name] = view(u.made[from:])
	}
	return record.ErrorNone, ""
}

// turnedAway says whether an answer refuses for now and asks to come back: a limiter at work, not a service that breaks.
func turnedAway(status int, header scenarios.Header) record.Flags {
	if busy(status) {
		if _, asked := header.Field("Retry-After", 0); asked {
			return record.TurnedAway
		}
	}
	return 0
}

// busy statuses are those that Retry-After goes with. Source: RFC 9110, 15.6.4, and RFC 6585, 4.
func busy(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
}

// gunzip undoes the compression a step asked for by its own Accept-Encoding.
func gunzip(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, bodyMax+1))
	if err == nil && len(plain) > bodyMax {
		err = errTooLarge
	}
	return plain, err
}
