package store

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// flaw is where a file stops making sense; everything before it is good.
type flaw struct {
	line int // 1-based
	text string
}

// header is the first line of the snapshot. Its last member, the list of records, is open: its closing bracket is the file's last line.
type header struct {
	State string `json:"state"` // "graced"
	Seq   uint64 `json:"seq"`   // the last change that is in the records
	Count uint   `json:"count"` // records
}

const (
	headerTail = `,"records":[`
	footer     = "]}\n"
	lastSeq    = 1 << 62 // no daemon gets that far, and a number beyond it could not be counted on
)

func (h header) line() []byte {
	object, err := encode(h)
	if err != nil {
		panic(err)
	}
	return seal(append(object[:len(object)-1], headerTail...))
}

// parseSnapshot reads a whole snapshot. known is false where not even its number could be read.
func parseSnapshot(data []byte) (h header, known bool, records []record, bad *flaw) {
	next := func() ([]byte, bool) {
		line, rest, ended := bytes.Cut(data, []byte("\n"))
		data = rest
		return line, ended
	}
	first, ended := next()
	object, ok := unseal(first)
	object, isHead := bytes.CutSuffix(object, []byte(headerTail))
	if !ended || !ok || !isHead || json.Unmarshal(append(object, '}'), &h) != nil || h.State != "graced" || h.Seq > lastSeq {
		return header{}, false, nil, &flaw{1, "the file does not begin as a snapshot does"}
	}
	last := int(h.Count) - 1
	for n := range int(h.Count) {
		line, ended := next()
		if !ended {
			return h, true, records, &flaw{n + 2, fmt.Sprintf("the file ends after %d of %d records", n, h.Count)}
		}
		if n < last {
			if line, ended = bytes.CutSuffix(line, []byte(",")); !ended {
				return h, true, records, &flaw{n + 2, "the line has no comma at its end"}
			}
		}
		r, wrong := parseRecord(line)
		if wrong != "" {
			return h, true, records, &flaw{n + 2, wrong}
		}
		records = append(records, r)
	}
	if string(data) != footer {
		return h, true, records, &flaw{last + 3, "the file does not end as a snapshot does"}
	}
	return h, true, records, nil
}

// parseJournal reads a whole journal. good is the length in bytes of the changes that are whole and sound, whose records are returned; bytes beyond
// it without a flaw are a last change that was cut off. With known, the first change is at most the one after seq.
func parseJournal(data []byte, seq uint64, known bool) (records []record, good int, bad *flaw) {
	whole, pos := 0, 0 // records of whole changes; where the next line begins
	for n := 1; ; n++ {
		length := bytes.IndexByte(data[pos:], '\n')
		if length < 0 {
			return records[:whole], good, nil
		}
		r, wrong := parseRecord(data[pos : pos+length])
		switch {
		case wrong != "":
		case r.Seq > lastSeq:
			wrong = fmt.Sprintf("there is no change %d", r.Seq)
		case n > 1 && r.Seq != records[n-2].Seq+1:
			wrong = fmt.Sprintf("change %d follows change %d", r.Seq, records[n-2].Seq)
		case n == 1 && known && r.Seq > seq+1:
			wrong = fmt.Sprintf("change %d follows a snapshot of change %d: what was between them is missing", r.Seq, seq)
		}
		if wrong != "" {
			return records[:whole], good, &flaw{n, wrong}
		}
		records = append(records, r)
		pos += length + 1
		if !r.More {
			whole, good = n, pos
		}
	}
}
