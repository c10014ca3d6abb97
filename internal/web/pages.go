package web

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/control"
)

// ui holds the templates and what is served as it is. Its layout is that of the URLs.
//
//go:embed ui
var ui embed.FS

var pages = template.Must(template.ParseFS(ui, "ui/*.html"))

// page answers whatever is neither XML-RPC nor a stream: the classic web interface (contract: web). It is a view, a file, or nothing.
//
// Everything below /ui/ is kept free: Supervisor has nothing there, and an interface of our own can have its pages there one day, beside
// this one.
func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	// A browser takes nothing but our stylesheet and images, runs nothing, lets no other site frame the page, and tells its address to
	// nobody else. Within the site it does tell it, which foreign relies on.
	head.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	head.Set("X-Frame-Options", "DENY")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "same-origin")

	name := strings.TrimLeft(r.URL.Path, "/")
	view := map[string]func(http.ResponseWriter, *http.Request, form){
		"": h.status, "index.html": h.status, "tail.html": h.tail, "ok.html": h.healthy,
	}[name]
	switch {
	case view != nil && r.Method == http.MethodGet:
		view(w, r, readForm(r.URL.RawQuery, ""))
	case view != nil && r.Method == http.MethodPost:
		body, status := readBody(w, r)
		if status != 0 {
			dismiss(w, status)
			return
		}
		view(w, r, readForm(r.URL.RawQuery, string(body)))
	case r.Method == http.MethodGet, r.Method == http.MethodHead && view == nil:
		serveFile(w, r, name)
	case r.Method == http.MethodHead:
		fail(w, http.StatusNotFound) // compat: the views know no HEAD
	default:
		fail(w, http.StatusBadRequest)
	}
}

// healthy answers probes, in every state of the daemon.
func (h *handler) healthy(w http.ResponseWriter, _ *http.Request, _ form) {
	send(w, "text/plain", []byte("OK"))
}

// up describes the daemon, and reports whether it is neither about to end nor to restart: the guard that the methods of XML-RPC have.
func (h *handler) up(ctx context.Context) (control.Daemon, bool) {
	d, err := h.svc.Daemon(ctx)
	return d, err == nil && d.Mood >= control.MoodRunning
}

// render answers with a page made of a template.
func render(w http.ResponseWriter, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		fail(w, http.StatusInternalServerError)
		return
	}
	current(w)
	send(w, "text/html;charset=utf-8", page.Bytes())
}

// current marks an answer as one that holds only now.
func current(w http.ResponseWriter) {
	w.Header().Set("Pragma", "no-cache")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Expires", "Thu, 01 Jan 1970 00:00:00 GMT")
}

func send(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client may have gone
}

// form is what a request asks for, by name. A name without a value is not there.
type form map[string]string

// readForm reads a query and a body, both urlencoded whatever the body's type is. The body wins; of a name's values the first in the query
// counts, and the last in the body.
func readForm(query, body string) form {
	f := form{}
	eachPair(query, func(name, value string) {
		if _, taken := f[name]; !taken {
			f[name] = value
		}
	})
	eachPair(body, func(name, value string) { f[name] = value })
	return f
}

// eachPair goes through urlencoded text as Python does: "&" alone separates, and what cannot be decoded stands for itself. net/url refuses
// such text.
func eachPair(text string, visit func(name, value string)) {
	for pair := range strings.SplitSeq(text, "&") {
		if name, value, _ := strings.Cut(pair, "="); value != "" {
			visit(unquote(name), unquote(value))
		}
	}
}

// unquote decodes a name or a value. Bytes that are no UTF-8 become U+FFFD.
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			b.WriteByte(byte(n))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return string([]rune(b.String()))
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

// quote encodes text for a URL exactly as Supervisor's links are encoded: all but letters, digits and "_.-~/".
func quote(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte("_.-~/", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// legible replaces what no XML document may hold, and thus none of our pages: bytes that are no UTF-8, and most control characters.
func legible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return '\uFFFD'
		}
		return r
	}, s)
}
