package core

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"

	"github.com/graced/graced/internal/process"
)

// Inputs are written down as records, one behind the other: the version of the form, the kind of input, the moment, the fields. Numbers are
// varints, texts follow their length. Commands, which are few and hold specs, are written by encoding/gob, where a field has its name.

// recordVersion is the first byte of every record.
const recordVersion = 1

// The kinds of a record, its second byte. What is written once keeps its number.
const (
	recordTick byte = iota
	recordSpawned
	recordSpawnFailed
	recordExited
	recordSignalled
	recordStdinWritten
	recordOutput
	recordListenerOutput
	recordCancel
	recordCommand
	recordHookEnded
	recordChecked
)

// recordVerbs are the verbs by their number in a record. New ones go to the end.
var recordVerbs = []Verb{
	Start{}, Stop{}, SendSignal{}, WriteInput{}, AddGroups{}, RemoveGroup{}, AddProcesses{}, RemoveProcess{}, Apply{}, Leave{}, Update{},
	CancelUpdate{}, SendRemote{}, Quit{}, SetMark{}, Identify{}, Act{}, Hurry{}, Refresh{}, PauseUpdate{},
}

// AppendInput appends the record of an input to buf, for InputDecoder to read. Now has to be the moment that the step counted, which
// Supervisor.Now tells after it: a machine that is stepped through the records, from New or Restore on, is then equal to the first one. A Tick at a
// moment when nothing was Due may be left out. It fails, and returns buf, on a verb that has no record.
func AppendInput(buf []byte, now Now, in Input) ([]byte, error) {
	b := record(buf)
	switch in := in.(type) {
	case Tick:
		b.begin(recordTick, now)
	case Spawned:
		b.begin(recordSpawned, now)
		b.life(in.ID, in.Incarnation)
		b.int(int64(in.PID))
	case SpawnFailed:
		b.begin(recordSpawnFailed, now)
		b.life(in.ID, in.Incarnation)
		b.text(in.Text)
	case Exited:
		b.begin(recordExited, now)
		b.life(in.ID, in.Incarnation)
		b.int(int64(in.Status.Code))
		b.int(int64(in.Status.Signal))
		b.flags(in.Status.CoreDumped, in.Status.Unknown, in.Status.OutOfMemory)
		b.int(int64(in.At))
	case Signalled:
		b.begin(recordSignalled, now)
		b.life(in.ID, in.Incarnation)
		b.uint(uint64(in.Token))
		b.text(in.Error)
	case StdinWritten:
		b.begin(recordStdinWritten, now)
		b.uint(uint64(in.Token))
		b.fault(in.Fault)
	case HookEnded:
		b.begin(recordHookEnded, now)
		b.uint(uint64(in.Token))
		b.text(in.Text)
	case Output:
		b.begin(recordOutput, now)
		b.life(in.ID, in.Incarnation)
		b.flags(in.Stderr, in.Captured)
		b.data(in.Data)
	case ListenerOutput:
		b.begin(recordListenerOutput, now)
		b.life(in.ID, in.Incarnation)
		b.data(in.Data)
	case Checked:
		b.begin(recordChecked, now)
		b.life(in.ID, in.Incarnation)
		b.flags(in.Alive, in.OK)
		b.text(in.Text)
	case Cancel:
		b.begin(recordCancel, now)
		b.uint(uint64(in.Req))
	case Command:
		b.begin(recordCommand, now)
		b.uint(uint64(in.Req))
		if err := b.verb(in.Do); err != nil {
			return buf, err
		}
	default:
		return buf, fmt.Errorf("cannot write input %T: it has no record", in)
	}
	return b, nil
}

// record is a record that is being written.
type record []byte

func (b *record) begin(kind byte, now Now) {
	*b = append(*b, recordVersion, kind)
	b.int(int64(now.Mono))
	b.int(now.Wall.Unix())
	b.uint(uint64(now.Wall.Nanosecond()))
}

func (b *record) uint(n uint64) { *b = binary.AppendUvarint(*b, n) }
func (b *record) int(n int64)   { *b = binary.AppendVarint(*b, n) }

func (b *record) life(id process.ID, inc process.Incarnation) {
	b.uint(uint64(id))
	b.uint(uint64(inc))
}

func (b *record) text(s string) {
	b.uint(uint64(len(s)))
	*b = append(*b, s...)
}

func (b *record) data(d []byte) {
	b.uint(uint64(len(d)))
	*b = append(*b, d...)
}

// flags writes up to three facts into one byte.
func (b *record) flags(facts ...bool) {
	var n byte
	for i, is := range facts {
		if is {
			n |= 1 << i
		}
	}
	*b = append(*b, n)
}

func (b *record) fault(f *Fault) {
	b.flags(f != nil)
	if f != nil {
		b.int(int64(f.Kind))
		b.text(f.Text)
	}
}

func (b *record) verb(do Verb) error {
	code := slices.IndexFunc(recordVerbs, func(v Verb) bool { return reflect.TypeOf(v) == reflect.TypeOf(do) })
	if code < 0 {
		return fmt.Errorf("cannot write command %T: it has no record", do)
	}
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(do); err != nil {
		return fmt.Errorf("cannot write command %T: %v", do, err)
	}
	b.uint(uint64(code))
	b.data(out.Bytes())
	return nil
}

// InputDecoder reads the records of inputs.
type InputDecoder struct {
	rest []byte
	err  error // why the rest cannot be read
}

// NewInputDecoder reads the records in data. What it returns shares no memory with data.
func NewInputDecoder(data []byte) *InputDecoder { return &InputDecoder{rest: data} }

// Next returns the next input and the moment of its step. The error is io.EOF when there is no more, and io.ErrUnexpectedEOF, which may be wrapped,
// when the last record is not whole.
func (d *InputDecoder) Next() (Now, Input, error) {
	if len(d.rest) == 0 {
		return Now{}, nil, io.EOF
	}
	whole := d.rest
	now, in := d.input()
	if err := d.err; err != nil {
		*d = InputDecoder{rest: whole}
		return Now{}, nil, fmt.Errorf("cannot read input: %w", err)
	}
	return now, in, nil
}

// Rest returns what has not been read: after an error, all that begins with the record in question.
func (d *InputDecoder) Rest() []byte { return d.rest }

func (d *InputDecoder) input() (now Now, in Input) {
	if v := d.byte(); v != recordVersion {
		d.fail(fmt.Errorf("version %d of the record is not known", v))
		return
	}
	kind := d.byte()
	now.Mono = time.Duration(d.int())
	second := d.int()
	now.Wall = time.Unix(second, int64(d.below(uint64(time.Second))))
	switch kind {
	case recordTick:
		in = Tick{}
	case recordSpawned:
		in = Spawned{ID: d.id(), Incarnation: d.incarnation(), PID: int(d.int())}
	case recordSpawnFailed:
		in = SpawnFailed{ID: d.id(), Incarnation: d.incarnation(), Text: string(d.bytes())}
	case recordExited:
		e := Exited{ID: d.id(), Incarnation: d.incarnation()}
		e.Status.Code, e.Status.Signal = int(d.int()), process.Signal(d.int())
		e.Status.CoreDumped, e.Status.Unknown, e.Status.OutOfMemory = d.flags()
		e.At = time.Duration(d.int())
		in = e
	case recordSignalled:
		in = Signalled{ID: d.id(), Incarnation: d.incarnation(), Token: Token(d.uint()), Error: string(d.bytes())}
	case recordStdinWritten:
		in = StdinWritten{Token: Token(d.uint()), Fault: d.fault()}
	case recordHookEnded:
		in = HookEnded{Token: Token(d.uint()), Text: string(d.bytes())}
	case recordOutput:
		o := Output{ID: d.id(), Incarnation: d.incarnation()}
		o.Stderr, o.Captured, _ = d.flags()
		o.Data = bytes.Clone(d.bytes())
		in = o
	case recordListenerOutput:
		in = ListenerOutput{ID: d.id(), Incarnation: d.incarnation(), Data: bytes.Clone(d.bytes())}
	case recordChecked:
		c := Checked{ID: d.id(), Incarnation: d.incarnation()}
		c.Alive, c.OK, _ = d.flags()
		c.Text = string(d.bytes())
		in = c
	case recordCancel:
		in = Cancel{Req: Req(d.uint())}
	case recordCommand:
		in = Command{Req: Req(d.uint()), Do: d.verb()}
	default:
		d.fail(fmt.Errorf("kind %d is not known", kind))
	}
	return now, in
}

// fail keeps the first error. From then on there is nothing to read.
func (d *InputDecoder) fail(err error) {
	if d.err == nil {
		d.err, d.rest = err, nil
	}
}

// taken takes n bytes off the rest.
func (d *InputDecoder) taken(n int) []byte {
	head := d.rest[:n]
	d.rest = d.rest[n:]
	return head
}

func (d *InputDecoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail(io.ErrUnexpectedEOF)
		return 0
	}
	return d.taken(1)[0]
}

// number takes what binary.Uvarint or binary.Varint has read.
func number[N int64 | uint64](d *InputDecoder, n N, size int) N {
	switch {
	case size == 0:
		d.fail(io.ErrUnexpectedEOF)
		return 0
	case size < 0:
		d.fail(fmt.Errorf("a number has more than 64 bits"))
		return 0
	}
	d.taken(size)
	return n
}

func (d *InputDecoder) uint() uint64 {
	n, size := binary.Uvarint(d.rest)
	return number(d, n, size)
}

func (d *InputDecoder) int() int64 {
	n, size := binary.Varint(d.rest)
	return number(d, n, size)
}

// below reads a number that has to be less than a limit.
func (d *InputDecoder) below(limit uint64) uint64 {
	n := d.uint()
	if n >= limit {
		d.fail(fmt.Errorf("number %d is not below %d", n, limit))
		return 0
	}
	return n
}

func (d *InputDecoder) id() process.ID                   { return process.ID(d.uint()) }
func (d *InputDecoder) incarnation() process.Incarnation { return process.Incarnation(d.uint()) }

// bytes reads a text, which is part of what is decoded.
func (d *InputDecoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail(io.ErrUnexpectedEOF)
		return nil
	}
	return d.taken(int(n))
}

func (d *InputDecoder) flags() (first, second, third bool) {
	b := d.byte()
	return b&1 != 0, b&2 != 0, b&4 != 0
}

func (d *InputDecoder) fault() *Fault {
	if there, _, _ := d.flags(); !there {
		return nil
	}
	return &Fault{Kind: FaultKind(d.int()), Text: string(d.bytes())}
}

func (d *InputDecoder) verb() Verb {
	code := d.below(uint64(len(recordVerbs)))
	text := d.bytes()
	if d.err != nil {
		return nil
	}
	do := reflect.New(reflect.TypeOf(recordVerbs[code]))
	if err := gob.NewDecoder(bytes.NewReader(text)).DecodeValue(do); err != nil {
		d.fail(fmt.Errorf("command %T: %v", recordVerbs[code], err))
		return nil
	}
	return do.Elem().Interface().(Verb)
}
