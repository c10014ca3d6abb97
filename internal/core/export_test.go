package core

import (
	"fmt"
	"reflect"
	"time"
	"unsafe"
)

// Differs returns where two machines are not the same, "" when they are: all that they hold is compared, however deep, but for options that no input
// changes. Lists and maps that are empty are the same as none, as are an event's payload and the means to compose it.
func Differs(a, b *Supervisor) string {
	a.Snapshot() // composes
	b.Snapshot()
	if a.opts.Identifier != b.opts.Identifier {
		return "identifier"
	}
	c := comparison{seen: map[[2]unsafe.Pointer]bool{}}
	return c.differs("machine", reflect.ValueOf(a), reflect.ValueOf(b))
}

// comparison knows the pairs of pointers that it has come by.
type comparison struct {
	seen map[[2]unsafe.Pointer]bool
}

func (c comparison) differs(path string, a, b reflect.Value) string {
	if a.Type() != b.Type() {
		return fmt.Sprintf("%s: %v and %v", path, a.Type(), b.Type())
	}
	switch a.Kind() {
	case reflect.Pointer:
		pair := [2]unsafe.Pointer{a.UnsafePointer(), b.UnsafePointer()}
		if a.IsNil() || b.IsNil() || c.seen[pair] {
			return unlessSame(path, a.IsNil(), b.IsNil())
		}
		c.seen[pair] = true
		return c.differs(path, a.Elem(), b.Elem())
	case reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return unlessSame(path, a.IsNil(), b.IsNil())
		}
		return c.differs(path, a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			field := a.Type().Field(i).Name
			if a.Type() == reflect.TypeFor[Supervisor]() && field == "opts" || a.Type() == reflect.TypeFor[time.Time]() && field == "loc" {
				continue
			}
			if d := c.differs(path+"."+field, a.Field(i), b.Field(i)); d != "" {
				return d
			}
		}
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d and %d entries", path, a.Len(), b.Len())
		}
		for i := range a.Len() {
			if d := c.differs(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i)); d != "" {
				return d
			}
		}
	case reflect.Map:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d and %d entries", path, a.Len(), b.Len())
		}
		for _, k := range a.MapKeys() {
			at := fmt.Sprintf("%s[%v]", path, k)
			if !b.MapIndex(k).IsValid() {
				return at + ": missing"
			}
			if d := c.differs(at, a.MapIndex(k), b.MapIndex(k)); d != "" {
				return d
			}
		}
	case reflect.Func:
		if !a.IsNil() || !b.IsNil() {
			return path + ": a function"
		}
	default:
		return unlessSame(path, a, b)
	}
	return ""
}

// unlessSame compares values that have an order or are truths, by what they print.
func unlessSame(path string, a, b any) string {
	if x, y := fmt.Sprint(a), fmt.Sprint(b); x != y {
		return fmt.Sprintf("%s: %s and %s", path, x, y)
	}
	return ""
}
