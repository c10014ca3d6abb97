package web

import (
	"errors"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/control"
)

// tail shows the end of what a process wrote to its standard output.
func (h *handler) tail(w http.ResponseWriter, r *http.Request, f form) {
	name := f["processname"]
	limit := tailLimit(f["limit"])
	page := struct {
		Name, Text string
		Quoted     template.URL
		Limit      int64
	}{legible(name), "No process name found", template.URL(quote(name)), limit}
	if name == "" {
		page.Name = "None" // compat: Python's word for nothing
	} else {
		page.Text = legible(h.lastOutput(r, name, limit))
	}
	render(w, "tail.html", page)
}

func (h *handler) lastOutput(r *http.Request, name string, limit int64) string {
	var data []byte
	var err error = control.Fault(control.ShutdownState, "")
	if _, up := h.up(r.Context()); up {
		data, err = h.svc.ReadLog(r.Context(), control.Log{Process: name, Channel: control.Stdout}, -limit, 0)
	}
	var fault *control.Error
	switch {
	case err == nil:
		return string(wholeCharacters(data, limit))
	case errors.As(err, &fault) && fault.Code == control.NoFile:
		return "No file for " + name
	}
	return "ERROR: " + unexpected(err)
}

// wholeCharacters drops the rest of a character from the front of the last limit bytes of a log.
func wholeCharacters(data []byte, limit int64) []byte {
	if int64(len(data)) < limit {
		return data // nothing was cut off
	}
	for i := range min(3, len(data)) {
		if data[i]&0xC0 != 0x80 {
			return data[i:]
		}
	}
	return data[min(3, len(data)):]
}

// tailLimit reads how many bytes of a log are asked for: at least 1024, also where it is no number.
func tailLimit(s string) int64 {
	const least = 1024
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return least
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = math.MaxInt64 // it has only digits, so there are too many of them
	}
	return max(least, n)
}
