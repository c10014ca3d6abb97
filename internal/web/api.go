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

// api answers a request of the JSON interface.
func (h *handler) api(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, apiPrefix)
	if foreign(r) {
		problem(w, http.StatusForbidden, control.Fault(control.Failed, "another site must not ask this"))
		return
	}
	switch {
	case path == "plan":
		var req control.PlanRequest
		if decode(w, r, &req) {
			if !mayRead(w, r, req.File) {
				return
			}
			answer(w)(h.svc.Plan(r.Context(), req))
		}
	case path == "check" && r.Method == http.MethodGet:
		if file := r.URL.Query().Get("file"); mayRead(w, r, file) {
			answer(w)(h.svc.Findings(r.Context(), file))
		}
	case path == "preview":
		var req control.PreviewRequest
		if decode(w, r, &req) {
			answer(w)(h.svc.Preview(r.Context(), req))
		}
	case path == "update":
		var req control.UpdateRequest
		if decode(w, r, &req) {
			req.Who = who(r, h.username != "")
			answer(w)(h.svc.Update(r.Context(), req))
		}
	case path == "scale":
		var req control.ScaleRequest
		if decode(w, r, &req) {
			req.Who = who(r, h.username != "")
			answer(w)(h.svc.Scale(r.Context(), req))
		}
	case path == "mark":
		var req control.MarkRequest
		if decode(w, r, &req) {
			req.Who = who(r, h.username != "")
			list, err := h.svc.Mark(control.WithCaller(r.Context(), func() string { return req.Who }), req)
			answer(w)(struct {
				Marks []control.Marked `json:"marks"`
			}{list}, err)
		}
	case path == "history" && r.Method == http.MethodGet:
		list, err := h.svc.History(r.Context())
		answer(w)(struct {
			Generations []control.Generation `json:"generations"`
		}{list}, err)
	case path == "history/diff" && r.Method == http.MethodGet:
		from, err1 := strconv.Atoi(r.URL.Query().Get("from"))
		to, err2 := strconv.Atoi(r.URL.Query().Get("to"))
		if err := errors.Join(err1, err2); err != nil {
			problem(w, http.StatusBadRequest, control.Fault(control.IncorrectParameters, err.Error()))
			return
		}
		list, err := h.svc.HistoryDiff(r.Context(), from, to)
		answer(w)(struct {
			Changes []control.GenerationChange `json:"changes"`
		}{list}, err)
	case path == "standing" && r.Method == http.MethodGet:
		answer(w)(h.svc.Standing(r.Context()))
	case path == "why" && r.Method == http.MethodGet:
		answer(w)(h.svc.Why(r.Context(), r.URL.Query().Get("name")))
	case path == "operations" && r.Method == http.MethodGet:
		list, err := h.svc.Operations(r.Context())
		answer(w)(operationList{"graced.operations/v1", list}, err)
	case strings.HasPrefix(path, "operations/") && r.Method == http.MethodGet:
		after, err := strconv.Atoi(r.URL.Query().Get("after"))
		if err != nil {
			after = 0
		}
		ctx, cancel := context.WithTimeout(r.Context(), watchMost)
		defer cancel()
		answer(w)(h.svc.Operation(ctx, strings.TrimPrefix(path, "operations/"), after))
	case strings.HasPrefix(path, "operations/") && strings.HasSuffix(path, "/cancel") && r.Method == http.MethodPost:
		id := strings.TrimSuffix(strings.TrimPrefix(path, "operations/"), "/cancel")
		answer(w)(struct{}{}, h.svc.CancelOperation(r.Context(), id))
	default:
		problem(w, http.StatusNotFound, control.Fault(control.UnknownMethod, r.Method+" "+r.URL.Path))
	}
}

type operationList struct {
	Schema     string              `json:"schema"`
	Operations []control.Operation `json:"operations"`
}

// decode reads the body of a POST. It reports false after it has answered for itself.
func decode(w http.ResponseWriter, r *http.Request, to any) bool {
	if r.Method != http.MethodPost {
		problem(w, http.StatusMethodNotAllowed, control.Fault(control.UnknownMethod, r.Method+" "+r.URL.Path+": use POST"))
		return false
	}
	// A page of another site can send a form without being asked for, but not this type.
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/json" {
		problem(w, http.StatusUnsupportedMediaType, control.Fault(control.IncorrectParameters, "the body must be application/json"))
		return false
	}
	body, status := readBody(w, r)
	if status != 0 {
		dismiss(w, status)
		return false
	}
	// A name that is not known is refused: who misspells "groups" must not get all of them.
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if _, more := d.Token(); err == nil && more != io.EOF {
		err = errors.New("there is more behind the JSON value")
	}
	if err != nil {
		problem(w, http.StatusBadRequest, control.Fault(control.IncorrectParameters, err.Error()))
		return false
	}
	return true
}

// answer returns a function that writes a value, or the error in its place.
func answer(w http.ResponseWriter) func(v any, err error) {
	return func(v any, err error) {
		var fault *control.Error
		switch {
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

// mayRead reports whether a request may name a file that the daemon reads with its own rights; "" names none. It reports false after it has
// answered for itself.
func mayRead(w http.ResponseWriter, r *http.Request, file string) bool {
	if file == "" || own(r) {
		return true
	}
	problem(w, http.StatusForbidden, control.Fault(control.Failed, "another file is read for the daemon's own user and root alone, on its unix socket"))
	return false
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
