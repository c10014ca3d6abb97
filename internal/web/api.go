package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/graced/graced/internal/control"
)

// apiPrefix is where the JSON interface lives. Its shapes are those of package control, with their schemas.
const apiPrefix = "/api/v1/"

// watchMost is how long a question about an operation waits for news.
const watchMost = 25 * time.Second

// route is one thing that can be asked of the JSON interface.
type route struct {
	method string
	path   string // below apiPrefix; a "*" stands for the identifier of an operation
	do     func(h *handler, w http.ResponseWriter, r *http.Request, id string) (any, error)
}

var routes = []route{
	{"POST", "plan", posted(func(h *handler, r *http.Request, req control.PlanRequest) (any, error) {
		if err := mayRead(r, req.File); err != nil {
			return nil, err
		}
		return h.svc.Plan(r.Context(), req)
	})},
	{"POST", "upgrade", posted(func(h *handler, r *http.Request, req control.UpgradeRequest) (any, error) {
		if req.Binary != "" && !own(r) { // the daemon becomes that program
			return nil, &refusal{http.StatusForbidden, control.Failed, "a program is named by the daemon's own user and root alone, on its unix socket"}
		}
		return struct{}{}, h.svc.Upgrade(r.Context(), req.Binary)
	})},
	{"GET", "check", func(h *handler, _ http.ResponseWriter, r *http.Request, _ string) (any, error) {
		file := r.URL.Query().Get("file")
		if err := mayRead(r, file); err != nil {
			return nil, err
		}
		return h.svc.Findings(r.Context(), file)
	}},
	{"POST", "preview", posted(func(h *handler, r *http.Request, req control.PreviewRequest) (any, error) {
		return h.svc.Preview(r.Context(), req)
	})},
	{"POST", "update", posted(func(h *handler, r *http.Request, req control.UpdateRequest) (any, error) {
		req.Who = h.who(r)
		return h.svc.Update(r.Context(), req)
	})},
	{"POST", "scale", posted(func(h *handler, r *http.Request, req control.ScaleRequest) (any, error) {
		req.Who = h.who(r)
		return h.svc.Scale(r.Context(), req)
	})},
	{"POST", "act", posted(func(h *handler, r *http.Request, req control.ActRequest) (any, error) {
		req.Who = h.who(r)
		return h.svc.Act(r.Context(), req)
	})},
	{"POST", "refresh", posted(refresh)},
	{"POST", "mark", posted(func(h *handler, r *http.Request, req control.MarkRequest) (any, error) {
		req.Who = h.who(r)
		return h.svc.Mark(control.WithCaller(r.Context(), func() string { return req.Who }), req)
	})},
	{"GET", "history", func(h *handler, _ http.ResponseWriter, r *http.Request, _ string) (any, error) {
		list, err := h.svc.History(r.Context())
		return struct {
			Schema      string               `json:"schema"`
			Generations []control.Generation `json:"generations"`
		}{control.HistorySchema, list}, err
	}},
	{"GET", "history/diff", func(h *handler, _ http.ResponseWriter, r *http.Request, _ string) (any, error) {
		from, err1 := strconv.Atoi(r.URL.Query().Get("from"))
		to, err2 := strconv.Atoi(r.URL.Query().Get("to"))
		if err := errors.Join(err1, err2); err != nil {
			return nil, badRequest(err)
		}
		list, err := h.svc.HistoryDiff(r.Context(), from, to)
		return struct {
			Schema  string                     `json:"schema"`
			From    int                        `json:"from"`
			To      int                        `json:"to"`
			Changes []control.GenerationChange `json:"changes"`
		}{control.HistoryDiffSchema, from, to, list}, err
	}},
	{"GET", "standing", func(h *handler, _ http.ResponseWriter, r *http.Request, _ string) (any, error) {
		return h.svc.Standing(r.Context())
	}},
	{"GET", "why", func(h *handler, _ http.ResponseWriter, r *http.Request, _ string) (any, error) {
		return h.svc.Why(r.Context(), r.URL.Query().Get("name"))
	}},
	{"GET", "doctor", func(h *handler, _ http.ResponseWriter, r *http.Request, _ string) (any, error) {
		return h.svc.Doctor(r.Context())
	}},
	{"GET", "operations", func(h *handler, _ http.ResponseWriter, r *http.Request, _ string) (any, error) {
		list, err := h.svc.Operations(r.Context())
		return struct {
			Schema     string              `json:"schema"`
			Operations []control.Operation `json:"operations"`
		}{control.OperationsSchema, list}, err
	}},
	{"GET", "operations/*", func(h *handler, _ http.ResponseWriter, r *http.Request, id string) (any, error) {
		after, err := strconv.Atoi(r.URL.Query().Get("after"))
		if err != nil {
			after = 0
		}
		ctx, cancel := context.WithTimeout(r.Context(), watchMost)
		defer cancel()
		defer context.AfterFunc(h.staying, cancel)()
		return h.svc.Operation(ctx, id, after)
	}},
	{"POST", "operations/*/cancel", func(h *handler, _ http.ResponseWriter, r *http.Request, id string) (any, error) {
		return struct{}{}, h.svc.CancelOperation(r.Context(), id)
	}},
	{"POST", "operations/*/pause", func(h *handler, _ http.ResponseWriter, r *http.Request, id string) (any, error) {
		return struct{}{}, h.svc.PauseOperation(r.Context(), id)
	}},
	{"POST", "operations/*/resume", func(h *handler, _ http.ResponseWriter, r *http.Request, id string) (any, error) {
		return struct{}{}, h.svc.ResumeOperation(r.Context(), id)
	}},
}

// takes reports whether a route is the one for a path, and which operation that names.
func (t route) takes(path string) (id string, ok bool) {
	before, after, wild := strings.Cut(t.path, "*")
	if !wild {
		return "", path == t.path
	}
	id, ok1 := strings.CutPrefix(path, before)
	id, ok2 := strings.CutSuffix(id, after)
	return id, ok1 && ok2 && id != "" && !strings.Contains(id, "/")
}

// api answers a request of the JSON interface.
func (h *handler) api(w http.ResponseWriter, r *http.Request) {
	if foreign(r) {
		problem(w, http.StatusForbidden, control.Fault(control.Failed, "another site must not ask this"))
		return
	}
	path := strings.TrimPrefix(r.URL.Path, apiPrefix)
	var methods []string
	for _, t := range routes {
		id, ok := t.takes(path)
		if ok && r.Method == t.method {
			answer(w)(t.do(h, w, r, id))
			return
		}
		if ok {
			methods = append(methods, t.method)
		}
	}
	if methods != nil {
		allow := strings.Join(methods, ", ")
		w.Header().Set("Allow", allow)
		problem(w, http.StatusMethodNotAllowed, control.Fault(control.UnknownMethod, r.Method+" "+r.URL.Path+": use "+allow))
		return
	}
	problem(w, http.StatusNotFound, control.Fault(control.UnknownMethod, r.Method+" "+r.URL.Path))
}

// refusal is an error with a status of its own.
type refusal struct {
	status int
	code   control.Code
	text   string
}

func (e *refusal) Error() string { return e.text }

func badRequest(err error) error {
	return &refusal{http.StatusBadRequest, control.IncorrectParameters, err.Error()}
}

// posted makes a route's function of one that takes the body.
func posted[T any](do func(*handler, *http.Request, T) (any, error)) func(*handler, http.ResponseWriter, *http.Request, string) (any, error) {
	return func(h *handler, w http.ResponseWriter, r *http.Request, _ string) (any, error) {
		var req T
		if err := decode(w, r, &req); err != nil {
			return nil, err
		}
		return do(h, r, req)
	}
}

// bodyTrouble says what is wrong with a body that could not be read.
var bodyTrouble = map[int]string{
	http.StatusRequestEntityTooLarge: "the body is larger than " + strconv.Itoa(maxBody>>20) + " MiB", http.StatusLengthRequired: "the request says nothing of a body",
	http.StatusRequestTimeout: "the body has not come in time", http.StatusBadRequest: "the body has broken off",
}

// decode reads the body of a POST.
func decode(w http.ResponseWriter, r *http.Request, to any) error {
	// A page of another site can send a form without being asked for, but not this type.
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/json" {
		return &refusal{http.StatusUnsupportedMediaType, control.IncorrectParameters, "the body must be application/json"}
	}
	body, status := readBody(w, r)
	if status != 0 {
		hangUp(w)
		return &refusal{status, control.IncorrectParameters, cmp.Or(bodyTrouble[status], "the body cannot be read")}
	}
	// A name that is not known is refused: who misspells "groups" must not get all of them.
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if _, more := d.Token(); err == nil && more != io.EOF {
		err = errors.New("there is more behind the JSON value")
	}
	if err != nil {
		return badRequest(err)
	}
	return nil
}

// answer returns a function that writes a value, or the error in its place.
func answer(w http.ResponseWriter) func(v any, err error) {
	return func(v any, err error) {
		var fault *control.Error
		var refused *refusal
		switch {
		case errors.As(err, &refused):
			problem(w, refused.status, control.Fault(refused.code, refused.text))
		case errors.As(err, &fault):
			problem(w, statusOf(fault.Code), fault)
		case err != nil:
			problem(w, http.StatusInternalServerError, control.Fault(control.Failed, err.Error()))
		default:
			writeJSON(w, http.StatusOK, "application/json", v)
		}
	}
}

// statusOf translates a fault's number.
func statusOf(c control.Code) int {
	switch c {
	case control.BadName, control.UnknownMethod:
		return http.StatusNotFound
	case control.StalePlan:
		return http.StatusConflict
	case control.ShutdownState:
		return http.StatusServiceUnavailable
	default:
		return http.StatusUnprocessableEntity
	}
}

// problem answers with an error.
func problem(w http.ResponseWriter, status int, fault *control.Error) {
	writeJSON(w, status, "application/problem+json", control.Problem{
		Schema: control.ErrorSchema, Title: fault.Code.String(), Status: status, Detail: cmp.Or(fault.Placed, fault.Text), FaultCode: int(fault.Code),
	})
}

func writeJSON(w http.ResponseWriter, status int, kind string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		fail(w, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// who names whoever sent a request to this server.
func (h *handler) who(r *http.Request) string { return who(r, h.username != "") }

// who names whoever sent a request: the user of the credentials, if they are known to be right, the user at the other end of the unix socket, or the address.
func who(r *http.Request, known bool) string {
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	name := peerUser(c)
	if given, _, ok := r.BasicAuth(); ok && given != "" && known {
		given = control.Printable(given)
		if name != "" {
			return given + " (" + name + ")"
		}
		name = given
	}
	if name != "" {
		return name
	}
	return r.RemoteAddr
}

// own reports whether the daemon's own user, or root, is at the other end of a unix socket.
func own(r *http.Request) bool {
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	cred := peer(c)
	return cred != nil && (cred.Uid == 0 || int(cred.Uid) == os.Geteuid())
}

// mayRead refuses a request to name a file, which the daemon would read with its own rights, to all but those who have them; "" names none.
func mayRead(r *http.Request, file string) error {
	if file == "" || own(r) {
		return nil
	}
	return &refusal{http.StatusForbidden, control.Failed, "another file is read for the daemon's own user and root alone, on its unix socket"}
}

// peer returns who is at the other end of a unix socket; nil for other connections.
func peer(c net.Conn) *unix.Ucred {
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	var cred *unix.Ucred
	if err := raw.Control(func(fd uintptr) { cred, _ = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return nil
	}
	return cred
}

// peerUser names the user at the other end of a unix socket; "" for other connections.
func peerUser(c net.Conn) string {
	cred := peer(c)
	if cred == nil {
		return ""
	}
	uid := strconv.FormatUint(uint64(cred.Uid), 10)
	if u, err := user.LookupId(uid); err == nil {
		return u.Username + " (uid " + uid + ")"
	}
	return "uid " + uid
}

// refresh has processes read their own configuration again.
func refresh(h *handler, r *http.Request, req control.RefreshRequest) (any, error) {
	target := control.Target{Name: req.Name}
	if group, ok := strings.CutSuffix(req.Name, ":*"); ok {
		target = control.Target{Name: group, Group: true}
	} else if req.Name == "all" {
		target = control.Target{All: true}
	}
	rows, err := h.svc.Refresh(control.WithCaller(r.Context(), func() string { return h.who(r) }), target)
	out := control.Refreshed{Schema: control.RefreshedSchema, Results: make([]control.RefreshedProcess, len(rows))}
	for i, row := range rows {
		p := control.RefreshedProcess{Group: row.Group, Name: row.Name}
		if row.Code != control.Success {
			p.FaultCode, p.Error = row.Code, row.Text
		}
		out.Results[i] = p
	}
	return out, err
}
