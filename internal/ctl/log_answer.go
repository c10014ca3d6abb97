package ctl

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/format"
)

// logRecord is the end of one log, or, while one is followed, a line of it.
type logRecord struct {
	ID      string `json:"id,omitempty"` // "group:name"; "" = the daemon's own log
	Channel string `json:"channel,omitempty"`
	Data    string `json:"data"`             // what is no UTF-8 is replaced by U+FFFD
	Base64  string `json:"base64,omitempty"` // the exact bytes, where something was replaced

	heading bool
}

func newLogRecord(id, channel string, data []byte) logRecord {
	r := logRecord{ID: id, Channel: channel, Data: strings.ToValidUTF8(string(data), "\uFFFD")}
	if !utf8.Valid(data) {
		r.Base64 = base64.StdEncoding.EncodeToString(data)
	}
	return r
}

func (r logRecord) Schema() string { return "graced.log/v1" }
func (r logRecord) Name() string   { return r.ID }

// Line is the text without its last line end; several logs have headings.
func (r logRecord) Line() string {
	text := r.Data
	if r.Base64 != "" {
		data, _ := base64.StdEncoding.DecodeString(r.Base64) // made above
		text = string(data)
	}
	text = strings.TrimSuffix(text, "\n")
	if r.heading {
		text = strings.TrimSuffix("==> "+r.ID+" "+r.Channel+" <==\n"+text, "\n")
	}
	return text
}

// tailAnswer answers tail and maintail.
type tailAnswer struct {
	Logs []logRecord `json:"logs"`
}

func (a *tailAnswer) Schema() string           { return "graced.tail/v1" }
func (a *tailAnswer) Records() []format.Record { return records(a.Logs) }
func (a *tailAnswer) Text(format.Style) string { return "" }

// tailWords are the words of tail and maintail.
type tailWords struct {
	follow  bool
	length  int64
	names   []string
	channel string
}

func (c *call) tailWords() (tailWords, error) {
	w := tailWords{length: tailBytes, channel: "stdout"}
	for _, word := range c.words {
		if !strings.HasPrefix(word, "-") || word == "-" {
			w.names = append(w.names, word)
			continue
		}
		if word == "-f" {
			w.follow = true
			continue
		}
		n, ok := parseInt(word[1:])
		if !ok || -n < math.MinInt32 || -n > math.MaxInt32 { // all that the protocol carries
			return w, c.misused("no number of bytes: " + quote(word))
		}
		w.length = n
	}
	if w.follow && (c.Form == format.JSON || c.Form == format.YAML || c.Form == format.Name) {
		return w, c.misused("a log that is followed has no end: -f goes with -o jsonl, or with none")
	}
	return w, nil
}

// answerTail shows the ends of processes' logs, or follows one.
func (s *Session) answerTail(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	w, err := c.tailWords()
	if err != nil {
		return nil, err
	}
	if n := len(w.names); n > 1 {
		if last := strings.ToLower(w.names[n-1]); last == "stdout" || last == "stderr" {
			w.channel, w.names = last, w.names[:n-1]
		}
	}
	if len(w.names) == 0 {
		return nil, c.misused("which process?")
	}
	all, err := server.Processes(ctx)
	if err != nil {
		return nil, err
	}
	units, err := s.pick(c, w.names, all)
	if err != nil {
		return nil, err
	}
	found := members(units)
	if w.follow {
		if len(found) != 1 {
			return nil, c.misused("-f follows one process, and these are " + strconv.Itoa(len(found)))
		}
		return nil, s.followLog(ctx, server, c, fullName(found[0]), w.channel)
	}
	a := &tailAnswer{Logs: []logRecord{}}
	var failed error
	for _, p := range found {
		data, err := server.ReadLog(ctx, control.Log{Process: fullName(p), Channel: control.Channel(w.channel)}, -w.length, 0)
		switch {
		case err == nil:
			r := newLogRecord(fullName(p), w.channel, data)
			r.heading = len(found) > 1
			a.Logs = append(a.Logs, r)
			c.Show(r)
		case fault(err) != control.NoFile && fault(err) != control.Failed:
			return a, err
		case failed == nil:
			failed = noLog(fullName(p)+" has no "+w.channel+" log", err)
		}
	}
	return a, failed
}

func noLog(detail string, err error) *format.Problem {
	p := &format.Problem{Code: "E314", Title: "no such log", Detail: detail, FaultCode: int(fault(err))}
	if fault(err) == control.Failed {
		p.Detail += " that can be read"
	}
	return p
}

// answerMainTail is the same for the daemon's own log.
func (s *Session) answerMainTail(ctx context.Context, server Proxy, c *call) (format.Answer, error) {
	w, err := c.tailWords()
	if err != nil {
		return nil, err
	}
	if len(w.names) > 0 {
		return nil, c.misused("takes no names, and got " + quote(w.names[0]))
	}
	if w.follow {
		return nil, s.followLog(ctx, server, c, "", "")
	}
	data, err := server.ReadLog(ctx, control.Log{Main: true}, -w.length, 0)
	if code := fault(err); code == control.NoFile || code == control.Failed {
		return nil, noLog("the daemon has no log file", err)
	}
	if err != nil {
		return nil, err
	}
	return &tailAnswer{Logs: []logRecord{newLogRecord("", "", data)}}, nil
}

// followLog copies a log as it grows, until Ctrl-C, which is no failure. JSONL gets whole lines.
func (s *Session) followLog(ctx context.Context, server Proxy, c *call, id, channel string) error {
	path := "/mainlogtail"
	if id != "" {
		path = "/logtail/" + id + "/" + channel
	}
	stream, err := server.Stream(ctx, path)
	if err == nil {
		if s.Terminal {
			s.complain(exitHint)
		}
		stop := context.AfterFunc(ctx, func() { _ = stream.Close() }) // ends the read that waits
		err = copyLines(stream, func(piece []byte) {
			if c.Form == format.JSONL {
				c.Show(newLogRecord(id, channel, piece))
				return
			}
			s.write(s.Out, string(piece))
		}, c.Form == format.JSONL)
		stop()
		_ = stream.Close()
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		s.caught = true
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case httpStatus(err) == 404 || httpStatus(err) == 410:
		return noLog("there is no log to follow", nil)
	}
	return err
}

// copyLines hands pieces of a stream on as they come, or, with whole, line by line.
func copyLines(stream io.Reader, take func([]byte), whole bool) error {
	buf := make([]byte, 32<<10)
	var rest []byte
	for {
		n, err := stream.Read(buf)
		piece := buf[:n]
		if whole {
			rest = append(rest, piece...)
			for {
				i := bytes.IndexByte(rest, '\n')
				if i < 0 {
					break
				}
				take(rest[:i+1])
				rest = rest[i+1:]
			}
		} else if n > 0 {
			take(piece)
		}
		if errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			continue
		}
		if len(rest) > 0 {
			take(rest)
		}
		return err
	}
}
