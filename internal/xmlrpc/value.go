package xmlrpc

import "strconv"

// A value on the wire is one of these Go types; nothing else is encoded, nothing else comes out of the decoder:
//
//	int        <int>, <i4>, <i8>        string  <string>, untyped, and base64 in a request
//	bool       <boolean>                []byte  <base64>
//	float64    <double>                 []any   <array>
//	time.Time  <dateTime.iso8601>       Struct  <struct>
//	nil        <nil/>, input only

// Struct is a struct value. It keeps the order of its members, since Supervisor's answers have one (contract: rpc, "Struct fields").
type Struct []Member

// Member is one member of a Struct.
type Member struct {
	Name  string
	Value any
}

// Get returns the value of the member called name. Of two members with one name the later counts.
func (s Struct) Get(name string) (any, bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].Name == name {
			return s[i].Value, true
		}
	}
	return nil, false
}

// String returns the member called name as a string; "" if it is absent or of another type.
func (s Struct) String(name string) string {
	v, _ := s.Get(name)
	text, _ := v.(string)
	return text
}

// Int returns the member called name as an integer; 0 if it is absent or of another type.
func (s Struct) Int(name string) int {
	v, _ := s.Get(name)
	n, _ := v.(int)
	return n
}

// Bool returns the member called name as a boolean; false if it is absent or of another type.
func (s Struct) Bool(name string) bool {
	v, _ := s.Get(name)
	b, _ := v.(bool)
	return b
}

// Fault is a fault in a response: the number and the text exactly as they were on the wire.
type Fault struct {
	Code   int
	String string // e.g. "BAD_NAME: foo"
}

// Error describes the fault.
func (f *Fault) Error() string { return "fault " + strconv.Itoa(f.Code) + ": " + f.String }

// Raw is a value that is already encoded, from "<value>" to "</value>\n".
type Raw []byte

// dateTime is the only form of a date on the wire.
const dateTime = "20060102T15:04:05"
