package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// A line of a run folder is one JSON object whose first member is the checksum of all that follows it:
//
//	{"crc":"1c291ca3","kind":"frame","offset_s":0,…}
//
// crc is the CRC-32C, in hex, of the bytes between the comma after it and the end of the line. A line that was torn by a
// kill or flipped by a disk is therefore recognised, and every whole line before it is believed.
const (
	crcPrefix = `{"crc":"`
	crcLength = len(crcPrefix) + 8 + len(`",`)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendLine appends v, which must marshal to a JSON object with at least one member, as one line. A kind other than ""
// becomes the first member.
func appendLine(dst []byte, kind string, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return dst, err
	}
	if len(body) < len(`{"":0}`) || body[0] != '{' {
		return dst, errors.New("not a JSON object with members")
	}
	dst = append(dst, crcPrefix...)
	sum := len(dst)
	dst = append(dst, `00000000",`...)
	rest := len(dst)
	if kind != "" {
		dst = append(dst, `"kind":"`...)
		dst = append(dst, kind...)
		dst = append(dst, `",`...)
	}
	dst = append(dst, body[1:]...)
	copy(dst[sum:], fmt.Appendf(nil, "%08x", crc32.Checksum(dst[rest:], castagnoli)))
	return append(dst, '\n'), nil
}

// What can be wrong with a line.
var (
	errShape    = errors.New("not a line of a run folder")
	errChecksum = errors.New("checksum does not match")
)

// checkLine verifies a line without its newline; the whole line is the JSON object to decode.
func checkLine(line []byte) error {
	if len(line) < crcLength+1 || !bytes.HasPrefix(line, []byte(crcPrefix)) || string(line[crcLength-2:crcLength]) != `",` {
		return errShape
	}
	want := fmt.Sprintf("%08x", crc32.Checksum(line[crcLength:], castagnoli))
	if string(line[len(crcPrefix):len(crcPrefix)+8]) != want {
		return errChecksum
	}
	return nil
}
