package xmlrpc

import (
	"context"

	"github.com/graced/graced/internal/control"
)

func logMethods(svc control.Service) []Method {
	// extent reads offset and length behind the first skip arguments.
	extent := func(args Args, skip int) (from, size int64, err error) {
		if from, err = args.Int(skip); err != nil {
			return 0, 0, err
		}
		size, err = args.Int(skip + 1)
		return from, size, err
	}
	read := func(channel control.Channel) func(context.Context, Args) (any, error) {
		return func(ctx context.Context, args Args) (any, error) {
			name, err := args.Text(0)
			if err != nil {
				return nil, err
			}
			from, size, err := extent(args, 1)
			if err != nil {
				return nil, err
			}
			data, err := svc.ReadLog(ctx, control.Log{Process: name, Channel: channel}, from, size)
			return logText(data, from != 0), err
		}
	}
	tail := func(channel control.Channel) func(context.Context, Args) (any, error) {
		return func(ctx context.Context, args Args) (any, error) {
			name, err := args.Text(0)
			if err != nil {
				return nil, err
			}
			from, size, err := extent(args, 1)
			if err != nil {
				return nil, err
			}
			t, err := svc.TailLog(ctx, control.Log{Process: name, Channel: channel}, from, size)
			return []any{logText(t.Data, t.Offset > int64(len(t.Data))), t.Offset, t.Overflow}, err
		}
	}
	readParams := []Param{nameParam, offset, length}
	tailParams := []Param{nameParam, {"int", "offset", "where to begin"}, {"int", "length", "how many bytes at most"}}
	text := Param{"string", "result", "the bytes; what is no UTF-8 is replaced"}
	tailed := Param{"array", "result", "[string bytes, int offset behind them, boolean whether bytes were skipped]"}

	var methods []Method
	methods = append(methods, alias(Method{
		Name: "readLog", Help: "Read from the main log.", Params: []Param{offset, length}, Return: text,
		Call: func(ctx context.Context, args Args) (any, error) {
			from, size, err := extent(args, 0)
			if err != nil {
				return nil, err
			}
			data, err := svc.ReadLog(ctx, control.Log{Main: true}, from, size)
			return logText(data, from != 0), err
		},
	}, "readMainLog")...)
	methods = append(methods, Method{
		Name: "clearLog", Help: "Empty the main log.", Return: alwaysTrue,
		Call: func(ctx context.Context, _ Args) (any, error) {
			return done(svc.ClearLog(ctx, control.Log{Main: true}))
		},
	})
	methods = append(methods, alias(Method{
		Name: "readProcessStdoutLog", Help: "Read from the log of a process's standard output.", Params: readParams, Return: text,
		Call: read(control.Stdout),
	}, "readProcessLog")...)
	methods = append(methods, Method{
		Name: "readProcessStderrLog", Help: "Read from the log of a process's standard error.", Params: readParams, Return: text,
		Call: read(control.Stderr),
	})
	methods = append(methods, alias(Method{
		Name: "tailProcessStdoutLog", Help: "Read the end of the log of a process's standard output. If the log is longer than offset + length,\n" +
			"        its last bytes are read and the result says that bytes were skipped.", Params: tailParams, Return: tailed,
		Call: tail(control.Stdout),
	}, "tailProcessLog")...)
	methods = append(methods, Method{
		Name: "tailProcessStderrLog", Help: "Read the end of the log of a process's standard error, as tailProcessStdoutLog does.", Params: tailParams, Return: tailed,
		Call: tail(control.Stderr),
	})
	methods = append(methods, alias(Method{
		Name: "clearProcessLogs", Help: "Empty both logs of a process.", Params: []Param{nameParam}, Return: alwaysTrue,
		Call: func(ctx context.Context, args Args) (any, error) {
			name, err := args.Text(0)
			if err != nil {
				return nil, err
			}
			return done(svc.ClearLog(ctx, control.Log{Process: name}))
		},
	}, "clearProcessLog")...)
	return append(methods, Method{
		Name: "clearAllProcessLogs", Help: "Empty the logs of all processes.", Return: rows,
		Call: func(ctx context.Context, _ Args) (any, error) {
			results, err := svc.ClearAllLogs(ctx)
			return resultRows(results), err
		},
	})
}

// logText returns the bytes of a log as text. If they may begin inside a character, its rest is cut off; other bytes that are no UTF-8 are
// replaced when the text is encoded (quirk D1).
func logText(data []byte, midway bool) string {
	if midway {
		for n := 0; n < 3 && len(data) > 0 && data[0]&0xc0 == 0x80; n++ {
			data = data[1:]
		}
	}
	return string(data)
}
