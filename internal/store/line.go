package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
)

// record is one line of either file: what the thing called key of a kind is since change number seq, or that it is gone. The snapshot has the
// number once, for all of its records.
type record struct {
	Seq     uint64          `json:"seq,omitempty"`
	More    bool            `json:"more,omitempty"` // the change goes on in the next line: all of its lines count, or none
	Kind    string          `json:"kind"`
	Key     string          `json:"key"`
	Gone    bool            `json:"gone,omitempty"`
	Version int             `json:"v,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// A line is a JSON object whose first member is the checksum of all that follows it in the line.
const (
	sumHead = `{"sum":"`
	sumLen  = len(sumHead) + 8 + len(`",`)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal puts the checksum into an object that has at least one member.
func seal(object []byte) []byte {
	rest := object[1:]
	return append(fmt.Appendf(nil, `%s%08x",`, sumHead, crc32.Checksum(rest, castagnoli)), rest...)
}

// unseal takes the checksum out again; ok is false where it is not that of the line.
func unseal(line []byte) (object []byte, ok bool) {
	if len(line) <= sumLen || !bytes.HasPrefix(line, []byte(sumHead)) || !bytes.HasPrefix(line[sumLen-2:], []byte(`",`)) {
		return nil, false
	}
	digits := string(line[len(sumHead) : sumLen-2])
	rest := line[sumLen:]
	sum, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || uint32(sum) != crc32.Checksum(rest, castagnoli) || digits != fmt.Sprintf("%08x", sum) {
		return nil, false
	}
	return append([]byte("{"), rest...), true
}

// encode returns v as JSON on one line, for people: without the escapes that are for web pages.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// line returns the record as a line without its end. Its data is JSON that encode made or that was read from such a line, so nothing can fail.
func (r record) line() []byte {
	object, err := encode(r)
	if err != nil {
		panic(fmt.Sprintf("record %s %s: %v", r.Kind, r.Key, err))
	}
	return seal(object)
}

// parseRecord reads what line wrote.
func parseRecord(line []byte) (record, string) {
	object, ok := unseal(line)
	if !ok {
		return record{}, "the line does not have the checksum that it says"
	}
	var r record
	if err := json.Unmarshal(object, &r); err != nil {
		return record{}, fmt.Sprintf("the line is no record: %v", err)
	}
	switch {
	case r.Kind == "" || r.Key == "":
		return record{}, "the record has no kind or no key"
	case r.Gone == (r.Data != nil):
		return record{}, "the record is neither data nor gone"
	}
	return r, ""
}

// merge returns the members of next and, after them, those of old that next does not have: a record that changes keeps what only another
// version of this program knows.
func merge(old, next json.RawMessage) json.RawMessage {
	var was, is map[string]json.RawMessage
	if json.Unmarshal(old, &was) != nil || json.Unmarshal(next, &is) != nil {
		return next
	}
	for name := range is {
		delete(was, name)
	}
	if len(was) == 0 {
		return next
	}
	rest, err := encode(was)
	if err != nil {
		return next
	}
	return append(append(bytes.Clone(next[:len(next)-1]), ','), rest[1:]...)
}
