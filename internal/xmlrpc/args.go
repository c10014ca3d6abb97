package xmlrpc

import (
	"strconv"
	"strings"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/pytext"
)

// errParameters is the fault for arguments of the wrong number or type (quirk D16: Supervisor answers 500 for some wrong types).
var errParameters = control.Fault(control.IncorrectParameters, "")

// Args are the arguments of a call. The accessors take what Python took: a number in a string where a number is wanted, anything for a
// truth value. They answer INCORRECT_PARAMETERS for the rest.
type Args []any

// Text returns argument i, which must be a string.
func (a Args) Text(i int) (string, error) {
	s, ok := a[i].(string)
	if !ok {
		return "", errParameters
	}
	return s, nil
}

// Int returns argument i as a number: an int, a boolean, the whole part of a double, or a string with a number.
func (a Args) Int(i int) (int64, error) {
	switch v := a[i].(type) {
	case int:
		return int64(v), nil
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case float64:
		if v >= -1<<63 && v < 1<<63 {
			return int64(v), nil
		}
	case string:
		if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, errParameters
}

// Truth returns the truth of argument i, or otherwise if it is missing. As in Python, what is empty or zero is false: clients send 0 and 1.
func (a Args) Truth(i int, otherwise bool) bool {
	if i >= len(a) {
		return otherwise
	}
	switch v := a[i].(type) {
	case bool:
		return v
	case int:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case Struct:
		return len(v) > 0
	}
	return a[i] != nil
}

// Signal returns argument i as the name or number of a signal.
func (a Args) Signal(i int) (string, error) {
	switch v := a[i].(type) {
	case string:
		return v, nil
	case int:
		return strconv.Itoa(v), nil
	}
	return "", errParameters
}

// pythonText shows a value as Python's str does.
func pythonText(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int:
		return strconv.Itoa(v)
	case float64:
		return string(appendDouble(nil, v))
	case string:
		return v
	case []byte:
		return pytext.BytesRepr(v)
	case []any:
		shown := make([]string, len(v))
		for i, e := range v {
			shown[i] = pythonRepr(e)
		}
		return "[" + strings.Join(shown, ", ") + "]"
	case Struct:
		shown := make([]string, len(v))
		for i, m := range v {
			shown[i] = pytext.Repr(m.Name) + ": " + pythonRepr(m.Value)
		}
		return "{" + strings.Join(shown, ", ") + "}"
	case time.Time:
		return v.Format(time.DateTime)
	}
	return ""
}

// pythonRepr shows a value as Python shows it inside of another.
func pythonRepr(v any) string {
	switch v := v.(type) {
	case string:
		return pytext.Repr(v)
	case time.Time:
		text := "datetime.datetime(" + v.Format("2006, 1, 2") + ", " + strconv.Itoa(v.Hour()) + ", " + strconv.Itoa(v.Minute())
		if v.Second() != 0 {
			text += ", " + strconv.Itoa(v.Second())
		}
		return text + ")"
	}
	return pythonText(v)
}
