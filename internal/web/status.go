package web

import (
	"html/template"
	"net/http"
	"strings"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/process"
)

// row is a process in the status table.
type row struct {
	Name        string       // the namespec
	Quoted      template.URL // the same, quoted
	State       string       // in lower case
	Class       string       // of the state, for the stylesheet
	Description string
	Running     bool // it can be stopped and restarted
	Startable   bool
	Shade       bool // every second row
}

// status shows all processes. With an action it carries that out first and sends the client on to the page, which shows the outcome.
func (h *handler) status(w http.ResponseWriter, r *http.Request, f form) {
	action := f["action"]
	if action != "" && action != actionRefresh && foreign(r) {
		w.Header().Set("Cache-Control", "no-store")
		failWith(w, http.StatusForbidden, "Forbidden: this request changes something and was made by another site. "+
			"Behind a proxy, have it pass on the Host header, or send X-Forwarded-Host")
		return
	}
	d, up := h.up(r.Context())
	if !up {
		fail(w, http.StatusInternalServerError) // compat: nothing that the table needs can be asked any more
		return
	}
	if action != "" {
		// The context is the server's: a client that goes does not leave half a restart behind.
		message, err := h.act(control.WithCaller(h.running, func() string { return h.who(r) }), action, f["processname"])
		if err != nil || h.running.Err() != nil {
			fail(w, http.StatusInternalServerError)
			return
		}
		current(w)
		// Relative: Supervisor sends the client to whatever Host it named, and with a status that may be cached for good.
		w.Header().Set("Location", "./?message="+quote(message))
		fail(w, http.StatusSeeOther)
		return
	}
	infos, err := h.svc.Processes(r.Context())
	if err != nil {
		fail(w, http.StatusInternalServerError)
		return
	}
	render(w, "status.html", struct {
		Message string
		Rows    []row
		Version string
	}{legible(f["message"]), rows(infos), d.Version})
}

func rows(infos []control.ProcessInfo) []row {
	out := make([]row, len(infos))
	for i, info := range infos {
		name := process.Namespec{Group: info.Group, Process: info.Name}.String()
		out[i] = row{
			Name: legible(name), Quoted: template.URL(quote(name)), State: strings.ToLower(info.State.String()), Class: "statusnominal",
			Description: legible(info.Description), Shade: i%2 == 1,
		}
		switch info.State {
		case process.Running:
			out[i].Class, out[i].Running = "statusrunning", true
		case process.Fatal:
			out[i].Class, out[i].Startable = "statuserror", true
		case process.Backoff:
			out[i].Class = "statuserror"
		case process.Stopped, process.Exited:
			out[i].Startable = true
		}
	}
	return out
}
