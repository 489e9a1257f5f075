package drive

import (
	"context"
	"errors"
	"io"
	"net"
	"net/textproto"
	"os"
	"strings"
	"syscall"

	"github.com/captest/captest/internal/record"
)

// protocolError says what is wrong with a response that came.
type protocolError string

// Error is the whole story: it is the same for every response with the same mistake.
func (e protocolError) Error() string { return string(e) }

// errTooLarge is a response body beyond bodyMax.
const errTooLarge protocolError = "the response body is larger than 16 MiB"

// classify says in the recorder's words why an exchange failed. The order matters: who gave up comes before what broke, the
// generator's own limits before the target's.
//
//	canceled  the run's context is done
//	timeout   one of the step's deadlines; ETIMEDOUT from the kernel
//	dns       any lookup failure, a slow one too
//	local     EMFILE ENFILE (descriptors), EADDRNOTAVAIL EADDRINUSE (ports), ENOBUFS ENOMEM
//	tls       the handshake, whatever broke it; an alert after it, by which TLS 1.3 refuses a client's certificate (unless the
//	          server's reset overtakes it: then reset or closed is all that can be seen)
//	refused   ECONNREFUSED
//	reset     ECONNRESET ECONNABORTED EPIPE; an HTTP/2 stream the server reset
//	closed    end of file before the response was complete
//	protocol  not HTTP, or a size limit broken
//	other     everything else: no route, …
func classify(err error, run, request context.Context) record.ErrorClass {
	var dns *net.DNSError
	var handshake *handshakeError
	var timeout timeoutError
	switch {
	case run.Err() != nil:
		return record.ErrorCanceled
	case request.Err() != nil, errors.As(err, &timeout):
		return record.ErrorTimeout
	case errors.As(err, &dns):
		return record.ErrorDNS
	case is(err, syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.ENOBUFS, syscall.ENOMEM):
		return record.ErrorLocal
	case errors.As(err, &handshake), alerted(err):
		return record.ErrorTLS
	case is(err, os.ErrDeadlineExceeded, syscall.ETIMEDOUT, context.DeadlineExceeded):
		return record.ErrorTimeout
	case is(err, syscall.ECONNREFUSED):
		return record.ErrorRefused
	case is(err, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE):
		return record.ErrorReset
	case is(err, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed):
		return record.ErrorClosed
	}
	return classifyText(err)
}

// classifyText tells the errors that net/http makes from text alone. The tests hold it against real sockets.
func classifyText(err error) record.ErrorClass {
	var syntax textproto.ProtocolError
	var broken protocolError
	var errno syscall.Errno
	text := err.Error()
	switch {
	case errors.As(err, &errno):
		return record.ErrorOther
	case errors.As(err, &broken), errors.As(err, &syntax):
		return record.ErrorProtocol
	case has(text, "server closed idle connection", "server closed connection", "client connection lost", "client conn could not be established", "GOAWAY"):
		return record.ErrorClosed
	case has(text, "stream error"):
		return record.ErrorReset
	case has(text, "transport connection broken", "malformed", "invalid", "unsupported", "bad ", "too many", "exceeded", "too long", "duplicate", "http2:", "connection error"):
		return record.ErrorProtocol
	}
	return record.ErrorOther
}

// alerted says whether a TLS alert ended the connection; crypto/tls marks it by these words alone.
func alerted(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}

func is(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func has(text string, pieces ...string) bool {
	for _, piece := range pieces {
		if strings.Contains(text, piece) {
			return true
		}
	}
	return false
}

// broken says why an exchange failed, in the recorder's words and in a sentence.
func broken(err error, run, request context.Context) (record.ErrorClass, string) {
	class := classify(err, run, request)
	if cause := context.Cause(request); class == record.ErrorTimeout && errors.Is(cause, firstByteTimeout) {
		err = cause
	}
	return class, describe(class, err)
}

// describe is the cause without addresses and ports, which would make every failure look like a new one.
func describe(class record.ErrorClass, err error) string {
	var errno syscall.Errno
	var dns *net.DNSError
	var timeout timeoutError
	switch {
	case errors.As(err, &timeout):
		return timeout.Error()
	case class == record.ErrorTimeout:
		return totalTimeout.Error()
	case errors.As(err, &dns):
		return "lookup " + dns.Name + ": " + dns.Err
	case errors.As(err, &errno):
		return errno.Error()
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return clip(err.Error())
}

// detailMax bounds a detail, in bytes: net/http quotes what it could not read.
const detailMax = 160

func clip(text string) string {
	if len(text) <= detailMax {
		return text
	}
	return strings.ToValidUTF8(text[:detailMax-len("…")], "") + "…"
}
