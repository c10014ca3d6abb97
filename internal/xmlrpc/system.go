package xmlrpc

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/graced/graced/internal/control"
)

// multicallName may not be called by itself: nesting would multiply the work of one request.
const multicallName = "system.multicall"

// maxMulticall is the size in bytes from which on an answer takes no further results: a request of 16 MiB can ask for a thousand times more.
const maxMulticall = 64 << 20

var errTooLarge = control.Fault(control.Failed, "the answer is too large")

// system returns the methods about methods (contract: rpc, "system.*"). They answer in every state of the daemon.
func (h *Handler) system() Namespace {
	unknown := control.Fault(control.SignatureUnsupported, "")
	find := func(args Args) (Method, error) {
		name, err := args.Text(0)
		if err != nil {
			return Method{}, err
		}
		m, ok := h.methods[name]
		if !ok {
			return Method{}, unknown
		}
		return m, nil
	}
	return Namespace{Name: "system", Methods: []Method{
		{
			Name: "listMethods", Help: "Name all methods that can be called here, sorted.",
			Return: Param{"array", "result", "the names, each with its namespace"},
			Call: func(context.Context, Args) (any, error) {
				return slices.Sorted(maps.Keys(h.methods)), nil
			},
		}, {
			Name: "methodHelp", Help: "Explain a method.",
			Params: []Param{{"string", "name", "the method, with its namespace"}}, Return: Param{"string", "result", "what it does, and its parameters"},
			Call: func(_ context.Context, args Args) (any, error) {
				m, err := find(args)
				return m.Doc(), err
			},
		}, {
			Name: "methodSignature", Help: "Tell the types of a method's result and parameters.",
			Params: []Param{{"string", "name", "the method, with its namespace"}}, Return: Param{"array", "result", "[type of the result, type of a parameter, ...]"},
			Call: func(_ context.Context, args Args) (any, error) {
				m, err := find(args)
				if err != nil {
					return nil, err
				}
				if m.Return.Type == "" {
					return nil, unknown
				}
				types := []string{m.Return.Type}
				for _, p := range m.Params {
					types = append(types, p.Type)
				}
				return types, nil
			},
		}, {
			Name: "multicall", Help: "Make several calls with one request, one after the other.\n" +
				"        A call that fails does not keep the next from being made.",
			Params: []Param{{"array", "calls", "structs of methodName and params"}},
			Return: Param{"array", "result", "for each call its value, or a struct of faultCode and faultString"},
			Call:   h.multicall,
		},
	}}
}

func (h *Handler) multicall(ctx context.Context, args Args) (any, error) {
	calls, ok := args[0].([]any)
	if !ok {
		return nil, errParameters
	}
	for _, c := range calls {
		if _, ok := c.(Struct); !ok {
			return nil, errParameters
		}
	}
	results := []byte(arrayBegin)
	for _, c := range calls {
		var v any
		err := error(errTooLarge)
		if len(results) < maxMulticall {
			v, err = h.oneOfMany(ctx, c.(Struct))
		}
		var encoded []byte
		if err == nil {
			encoded, err = AppendValue(results, v)
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err() // nobody reads the rest
			}
			fault := control.Fault(control.Failed, err.Error())
			errors.As(err, &fault)
			encoded = append(results, structBegin...)
			encoded = appendMemberInt(encoded, "faultCode", int(fault.Code))
			encoded = appendMemberString(encoded, "faultString", fault.Error())
			encoded = append(encoded, structEnd...)
		}
		// compat: bare values, not the arrays of one element that other servers send (quirk D5).
		results = encoded
	}
	return Raw(append(results, arrayEnd...)), nil
}

func (h *Handler) oneOfMany(ctx context.Context, call Struct) (any, error) {
	name, ok := call.Get("methodName")
	if !ok || name == nil {
		return nil, control.Fault(control.IncorrectParameters, "No methodName")
	}
	if name == multicallName {
		return nil, control.Fault(control.IncorrectParameters, "Recursive system.multicall forbidden")
	}
	text, ok := name.(string)
	if !ok {
		return nil, errParameters
	}
	var params []any
	if p, given := call.Get("params"); given {
		if params, ok = p.([]any); !ok {
			return nil, errParameters
		}
	}
	return h.call(ctx, text, params)
}
