package web

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/graced/graced/internal/control"
)

// RPC answers an XML-RPC document with a document and the status 200, or with a status alone.
type RPC interface {
	Serve(ctx context.Context, body []byte) (response []byte, status int)
}

// Service is what the servers themselves need of a control.Service.
type Service interface {
	Daemon(ctx context.Context) (control.Daemon, error)
	Process(ctx context.Context, name string) (control.ProcessInfo, error)
	Processes(ctx context.Context) ([]control.ProcessInfo, error)
	Start(ctx context.Context, target control.Target, wait bool) ([]control.Result, error)
	Stop(ctx context.Context, target control.Target, wait bool) ([]control.Result, error)
	Refresh(ctx context.Context, target control.Target) ([]control.Result, error)
	ReadLog(ctx context.Context, log control.Log, offset, length int64) ([]byte, error)
	ClearLog(ctx context.Context, log control.Log) error
	FollowLog(ctx context.Context, log control.Log) (control.Follower, error)
	Log(ctx context.Context, level int, message string) error
	control.Change
	control.Explain
	control.Desired
	control.Examine
}

// Dated is a control.Follower that knows when its log was last written.
type Dated interface {
	Modified() time.Time
}

// Limits on what a stranger can hold. There is none on a connection that waits, neither between requests nor for an answer: clients keep
// connections for hours, and a process may take minutes to stop.
const (
	maxBody       = 16 << 20 // bytes of a request's body (quirk D15)
	maxHeader     = 64 << 10 // bytes of a request's head
	headerTimeout = 20 * time.Second
	bodyTimeout   = time.Minute

	// lingering is how long a call goes on after its caller has closed the connection. A caller that has only closed its own direction, as
	// "printf | nc" does, still gets what is answered at once.
	lingering = time.Second
	// greeting is how long HandOver waits for a question on a connection that was just made, finishing how long for an answer: who waits for longer,
	// for a process to start or stop, hears that the daemon goes. It goes on with that all the same.
	greeting  = 200 * time.Millisecond
	breath    = 10 * time.Millisecond // between two questions on one connection
	finishing = 500 * time.Millisecond
	// draining is how long Close waits for answers to be written.
	draining = 2 * time.Second
)

// Server answers on the sockets of a daemon.
type Server struct {
	listeners *Listeners
	servers   []*http.Server
	cancel    context.CancelCauseFunc // of the context of every request
	leave     context.CancelFunc      // of what waits for news: whoever asked for that asks again
	serving   sync.WaitGroup
	resumed   sync.WaitGroup // calls that were passed on to this server
	reserve   reserve
	running   context.Context
	rpc       RPC

	mu     sync.Mutex
	fresh  map[net.Conn]struct{}  // connections that have not sent a request yet
	busy   map[net.Conn]struct{}  // those that have sent one and have no answer yet
	idle   map[net.Conn]time.Time // those that may send another, and since when
	closed bool
	keep   Keep // during HandOver
}

// Serve starts to answer on all sockets.
func Serve(listeners *Listeners, svc Service, rpc RPC) *Server {
	ctx, cancel := context.WithCancelCause(context.Background())
	staying, leave := context.WithCancel(ctx)
	s := &Server{listeners: listeners, cancel: cancel, leave: leave, fresh: map[net.Conn]struct{}{}, busy: map[net.Conn]struct{}{}, idle: map[net.Conn]time.Time{}}
	s.running, s.rpc = ctx, rpc
	s.reserve.take()
	for _, l := range listeners.open {
		hs := &http.Server{
			Handler:           &handler{credentials{l.Username, l.Password}, ctx, staying, svc, rpc, s},
			BaseContext:       func(net.Listener) context.Context { return ctx },
			ConnState:         s.track,
			ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
			ReadHeaderTimeout: headerTimeout,
			MaxHeaderBytes:    maxHeader,
			// Otherwise net/http answers OPTIONS * itself, past the credentials.
			DisableGeneralOptionsHandler: true,
			ErrorLog:                     log.New(logWriter{svc}, "", 0),
		}
		s.servers = append(s.servers, hs)
		s.serving.Go(func() { _ = hs.Serve(reserved{l.Listener, &s.reserve}) }) // ends when it is closed
	}
	return s
}

// track keeps the connections without a request, for which http.Server.Shutdown would wait.
func (s *Server) track(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == http.StateClosed && !s.closed {
		s.reserve.take()
	}
	delete(s.busy, c)
	delete(s.idle, c)
	switch state {
	case http.StateActive:
		s.busy[c] = struct{}{}
	case http.StateIdle:
		s.idle[c] = time.Now()
	}
	if state != http.StateNew {
		delete(s.fresh, c)
		return
	}
	s.fresh[c] = struct{}{}
	if s.closed {
		_ = c.Close()
	}
}

// Close ends streams and waiting calls, lets answers that are being written out for up to two seconds, closes all connections and the
// listeners, and returns when nothing runs any more.
func (s *Server) Close() {
	s.Stop()
	s.listeners.Close()
}

// Stop is Close for a server whose sockets somebody else closes, later: until then their addresses are not free.
func (s *Server) Stop() { s.end(context.Canceled) }

// HandOver is Close for a server whose sockets another one goes on with: they stay where they are, and whoever connects meanwhile waits. What was
// accepted is answered, but for what only waits for news. The calls that take longer are given to keep: GoOn answers them.
func (s *Server) HandOver(keep Keep) {
	for _, l := range s.listeners.open {
		_ = l.Listener.Close() // ours alone: the keeper holds it as well
	}
	s.serving.Wait() // nothing more is accepted
	s.leave()        // from here on each answer is the last of its connection
	began := time.Now()
	for tick := time.Tick(time.Millisecond); !s.quiet(began); <-tick {
	}
	s.mu.Lock()
	s.keep = keep
	s.mu.Unlock()
	s.end(control.ErrHandOver)
}

// quiet reports whether nobody waits for an answer, or is likely to ask.
func (s *Server) quiet(began time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	waited := time.Since(began)
	for _, since := range s.idle {
		if time.Since(since) < breath && waited < finishing {
			return false
		}
	}
	return (len(s.fresh) == 0 || waited > greeting) && (len(s.busy) == 0 || waited > finishing)
}

func (s *Server) end(why error) {
	s.cancel(why)
	s.mu.Lock()
	s.closed = true
	for c := range s.fresh {
		_ = c.Close()
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), draining)
	defer cancel()
	for _, hs := range s.servers {
		s.serving.Go(func() {
			if hs.Shutdown(ctx) != nil {
				_ = hs.Close()
			}
		})
	}
	s.serving.Wait()
	s.resumed.Wait()
	s.reserve.give()
}

// logWriter carries the messages of net/http to the daemon's main log.
type logWriter struct{ svc Service }

func (w logWriter) Write(line []byte) (int, error) {
	const levelError = 40
	return len(line), w.svc.Log(context.Background(), levelError, strings.TrimSuffix(string(line), "\n"))
}

// handler answers the requests of one server.
type handler struct {
	credentials
	running context.Context // until the server closes
	staying context.Context // until another one takes over
	svc     Service
	rpc     RPC
	server  *Server
}

// ServeHTTP finds the handler by prefix, in Supervisor's order (contract: rpc, "Transport").
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Medusa/1.12")
	if h.staying.Err() != nil {
		w.Header().Set("Connection", "close")
	}
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // fails only on a broken connection
	}
	path := r.URL.Path
	switch {
	case !h.admit(r):
		w.Header()["WWW-Authenticate"] = []string{`Basic realm="default"`} // spelt as scripts look for it
		if strings.HasPrefix(path, apiPrefix) {
			hangUp(w)
			problem(w, http.StatusUnauthorized, control.Fault(control.Failed, "a name and a password are wanted, or other ones"))
			return
		}
		dismiss(w, http.StatusUnauthorized)
	case strings.HasPrefix(path, "/RPC2"):
		h.call(w, r)
	case strings.HasPrefix(path, "/logtail"):
		h.logtail(w, r)
	case strings.HasPrefix(path, "/mainlogtail"):
		h.follow(w, r, control.Log{Main: true})
	case strings.HasPrefix(path, apiPrefix):
		h.api(w, r)
	default:
		h.page(w, r)
	}
}

// reasons are the words for the statuses in error pages, as the reference has them.
var reasons = map[int]string{
	http.StatusMovedPermanently: "Moved Permanently", http.StatusSeeOther: "See Other",
	http.StatusBadRequest: "Bad Request", http.StatusUnauthorized: "Unauthorized", http.StatusNotFound: "Not Found",
	http.StatusRequestTimeout: "Request Time-out", http.StatusLengthRequired: "Length Required", http.StatusRequestEntityTooLarge: "Request Entity Too Large",
	http.StatusInternalServerError: "Internal Server Error",
}

// fail answers with an error page. Where the client is to go on elsewhere, the header says it.
func fail(w http.ResponseWriter, status int) { failWith(w, status, reasons[status]) }

func failWith(w http.ResponseWriter, status int, reason string) {
	body := "<head>\r\n<title>Error response</title>\r\n</head>\r\n<body>\r\n<h1>Error response</h1>\r\n<p>Error code " + strconv.Itoa(status) +
		".\r\n<p>Message: " + reason + ".\r\n</body>\r\n"
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client may have gone
}

// dismiss answers with an error page and ends the connection without waiting for the rest of the request.
func dismiss(w http.ResponseWriter, status int) {
	hangUp(w)
	fail(w, status)
}

// hangUp ends the connection behind the answer without waiting for the rest of the request.
func hangUp(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // net/http would go on reading
}

// call answers an XML-RPC call.
func (h *handler) call(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		fail(w, http.StatusBadRequest)
		return
	}
	body, status := readBody(w, r)
	if status != 0 {
		dismiss(w, status)
		return
	}
	ctx, cancel := linger(h.running, r.Context())
	defer cancel()
	ctx, left := control.WithPassing(ctx)
	response, status := h.rpc.Serve(control.WithCaller(ctx, func() string { return h.who(r) }), body)
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok && left() && h.server.passOn(c, h.who(r), body) {
		panic(http.ErrAbortHandler) // our end is closed, and nothing is written
	}
	if status != http.StatusOK {
		fail(w, status)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(response)))
	_, _ = w.Write(response) // the client may have gone
}

// readBody reads the body of a request, or returns the status of a failure.
func readBody(w http.ResponseWriter, r *http.Request) (body []byte, status int) {
	switch {
	case r.ContentLength > maxBody:
		return nil, http.StatusRequestEntityTooLarge
	case r.ContentLength == 0 && r.Header.Get("Content-Length") == "" && len(r.TransferEncoding) == 0:
		return nil, http.StatusLengthRequired
	}
	// The buffer grows with what has come, not with what was announced.
	buf := bytes.NewBuffer(make([]byte, 0, 2048))
	n, err := buf.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	switch {
	case n > maxBody:
		return nil, http.StatusRequestEntityTooLarge
	case err != nil:
		if os.IsTimeout(err) {
			return nil, http.StatusRequestTimeout
		}
		return nil, http.StatusBadRequest
	}
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil { // the answer may take any time
		return nil, http.StatusInternalServerError
	}
	return buf.Bytes(), 0
}

// linger returns a context that ends with running, or a while after the caller has gone.
func linger(running, caller context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(running)
	stop := context.AfterFunc(caller, func() { time.AfterFunc(lingering, cancel) })
	return ctx, func() {
		stop()
		cancel()
	}
}
