package drive

import (
	"encoding/binary"
	"math/bits"
)

func digit(c byte) bool { return '0' <= c && c <= '9' }
func blank(c byte) bool { return c == ' ' || c == '\t' }

// trim cuts off the blanks around a value.
func trim(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold compares without regard to the case of ASCII letters, and of no others: bytes.EqualFold would take the Kelvin
// sign for a k.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	if string(a) == b {
		return true
	}
	for i, c := range a {
		if c != b[i] && lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// nameLen is the number of bytes at the beginning of line that may stand in a field's name.
func nameLen(line []byte) int {
	for i, c := range line {
		if !nameByte[c] {
			return i
		}
	}
	return len(line)
}

// textLen is the number of bytes before the first control character of line that is not a tab.
func textLen(line []byte) (n int) {
	for n < len(line) {
		if n+8 <= len(line) {
			found := controls(binary.LittleEndian.Uint64(line[n:]))
			if found == 0 {
				n += 8
				continue
			}
			n += bits.TrailingZeros64(found) / 8
		}
		if c := line[n]; c < ' ' && c != '\t' || c == 0x7f {
			return n
		}
		n++
	}
	return n
}

// controls marks control characters among eight bytes, in the highest bit of each that is below 0x20 or is 0x7f. None is
// missed; a byte behind one that lent or carried may be marked in vain.
func controls(x uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	return ((x - 0x20*ones) | (x + ones)) &^ x & tops
}

// nameByte holds the characters of a field's name: those of a token (RFC 9110, section 5.6.2), and the space, which net/http
// lets pass too. A name with a space is no framing field's.
var nameByte = [256]bool{
	' ': true, '!': true, '#': true, '$': true, '%': true, '&': true, '\'': true, '*': true, '+': true, '-': true, '.': true,
	'^': true, '_': true, '`': true, '|': true, '~': true,
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'A': true, 'B': true, 'C': true, 'D': true, 'E': true, 'F': true, 'G': true, 'H': true, 'I': true, 'J': true, 'K': true,
	'L': true, 'M': true, 'N': true, 'O': true, 'P': true, 'Q': true, 'R': true, 'S': true, 'T': true, 'U': true, 'V': true,
	'W': true, 'X': true, 'Y': true, 'Z': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true, 'g': true, 'h': true, 'i': true, 'j': true, 'k': true,
	'l': true, 'm': true, 'n': true, 'o': true, 'p': true, 'q': true, 'r': true, 's': true, 't': true, 'u': true, 'v': true,
	'w': true, 'x': true, 'y': true, 'z': true,
}
