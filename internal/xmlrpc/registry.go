package xmlrpc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/graced/graced/internal/control"
)

// Namespace is a set of methods under one prefix, e.g. supervisor.* (contract: rpc, "Dispatch and faults").
type Namespace struct {
	Name    string
	Methods []Method
}

// Method is one method. Help, Params and Return are published by system.methodHelp and system.methodSignature.
type Method struct {
	Name     string // without the namespace
	Params   []Param
	Optional int   // how many of the last parameters may be missing
	Return   Param // Type "" = system.methodSignature knows nothing of the method
	Help     string

	// Guard is asked before the call, once the number of arguments is right; a fault it returns is the answer. May be nil.
	Guard func(ctx context.Context, method string) error
	// Call gets as many arguments as the caller gave, between len(Params)-Optional and len(Params). It returns a value of a type that the
	// package encodes, and errors of type *control.Error.
	Call func(ctx context.Context, args Args) (any, error)
}

// Param describes a parameter, or a result, for the documentation.
type Param struct{ Type, Name, Text string }

// Doc returns the text that system.methodHelp publishes. Clients cut the signature out of its @ lines.
func (m Method) Doc() string {
	var b strings.Builder
	b.WriteString(" " + m.Help + "\n\n")
	for _, p := range m.Params {
		fmt.Fprintf(&b, "        @param %s %s  %s\n", p.Type, p.Name, p.Text)
	}
	if m.Return.Type != "" {
		fmt.Fprintf(&b, "        @return %s %s  %s\n", m.Return.Type, m.Return.Name, m.Return.Text)
	}
	return b.String() + "        "
}

// Handler answers documents. It is safe for concurrent use.
type Handler struct {
	svc     control.Service
	methods map[string]Method // by full name
}

// NewHandler returns a handler of the methods of plugins and of system.*, which is always there. The error is for the user.
func NewHandler(svc control.Service, plugins []Plugin) (*Handler, error) {
	namespaces := make([]Namespace, len(plugins))
	for i, p := range plugins {
		factory, ok := factories[p.Factory]
		if !ok {
			return nil, fmt.Errorf("Could not make %s rpc interface: unknown factory %s", p.Name, p.Factory) // compat: the words of supervisord
		}
		ns, err := factory(svc, p.Name, p.Options)
		if err != nil {
			return nil, fmt.Errorf("Could not make %s rpc interface: %w", p.Name, err) // compat: the words of supervisord
		}
		namespaces[i] = ns
	}
	return newHandler(svc, namespaces...), nil
}

// newHandler is NewHandler for any namespaces. Of two with one name the later replaces the earlier.
func newHandler(svc control.Service, namespaces ...Namespace) *Handler {
	h := &Handler{svc: svc, methods: map[string]Method{}}
	byName := map[string]Namespace{}
	for _, ns := range append(slices.Clone(namespaces), h.system()) {
		byName[ns.Name] = ns
	}
	for _, ns := range byName {
		for _, m := range ns.Methods {
			h.methods[ns.Name+"."+m.Name] = m
		}
	}
	return h
}

// logError is the level of Supervisor's ERRO lines, logCritical that of CRIT.
const (
	logError    = 40
	logCritical = 50
)

// The HTTP statuses of an answer. They are not named by net/http because the client links this package for its codec, and that one would
// cost it a millisecond at each start.
const (
	statusOK         = 200
	statusBadRequest = 400
	statusFailed     = 500
)

// Serve answers one request document with a response document and the HTTP status 200, or with nothing and the status of a failure: 400
// for a document that is no call, 500 for a method that failed otherwise than with a fault.
func (h *Handler) Serve(ctx context.Context, body []byte) (response []byte, status int) {
	defer func() {
		if p := recover(); p != nil {
			h.log(ctx, logCritical, fmt.Sprintf("Handling XML-RPC request with data %s raised an unexpected exception: %v\n%s", quote(body), p, debug.Stack()))
			response, status = nil, statusFailed
		}
	}()
	call, err := DecodeCall(body)
	if err != nil {
		why := "unmarshallable"
		if errors.Is(err, ErrNoMethod) {
			why = "no method name"
		}
		h.log(ctx, logError, "XML-RPC request data "+quote(body)+" is invalid: "+why)
		return nil, statusBadRequest
	}
	v, err := h.call(ctx, call.Method, call.Params)
	if err == nil {
		if response, err = EncodeResponse(v); err == nil {
			return response, statusOK
		}
	}
	var fault *control.Error
	if errors.As(err, &fault) {
		return EncodeFault(int(fault.Code), fault.Error()), statusOK
	}
	if ctx.Err() == nil {
		h.log(ctx, logCritical, "Handling XML-RPC request with data "+quote(body)+" raised an unexpected exception: "+err.Error())
	}
	return nil, statusFailed
}

// call dispatches a call to its method.
func (h *Handler) call(ctx context.Context, name string, params []any) (any, error) {
	m, ok := h.methods[name]
	if !ok {
		return nil, control.Fault(control.UnknownMethod, "")
	}
	if len(params) > len(m.Params) || len(params) < len(m.Params)-m.Optional {
		return nil, errParameters
	}
	if m.Guard != nil {
		if err := m.Guard(ctx, m.Name); err != nil {
			return nil, err
		}
	}
	return m.Call(ctx, params)
}

// log writes a line into the daemon's main log. A line that cannot be written is not worth an answer.
func (h *Handler) log(ctx context.Context, level int, message string) {
	_ = h.svc.Log(ctx, level, message)
}

// quote shows the beginning of a document in a log line, as Python's repr does.
func quote(body []byte) string {
	const longest = 1024
	more := ""
	if len(body) > longest {
		body, more = body[:longest], "..."
	}
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range string(body) {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + "'" + more
}
