package client

import (
	"fmt"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/control/controltest"
	"github.com/graced/graced/internal/process"
	"github.com/graced/graced/internal/web"
	"github.com/graced/graced/internal/xmlrpc"
)

// BenchmarkGetAllProcessInfo measures the path from the request's bytes to the answer's over a unix socket, for a thousand processes; the
// daemon's own work is not in it, and with "typed" the client's decoding is.
func BenchmarkGetAllProcessInfo(b *testing.B) {
	svc := &controltest.Fake{Info: control.Daemon{Mood: control.MoodRunning}}
	infos := make([]control.ProcessInfo, 1000)
	for i := range infos {
		infos[i] = control.ProcessInfo{Group: "group", Name: fmt.Sprintf("process_%03d", i), State: process.Running, Start: time.Unix(1e9, 0), Now: time.Unix(2e9, 0),
			StdoutLog: "/var/log/supervisor/group-process_000-stdout---supervisor-abcdefgh.log", PID: 1000 + i, Description: "pid 1234, uptime 1 day, 0:00:01"}
	}
	svc.Answer = infos
	rpc, err := xmlrpc.NewHandler(svc, []xmlrpc.Plugin{{Name: "supervisor", Factory: xmlrpc.FactoryMain}})
	if err != nil {
		b.Fatal(err)
	}
	listeners, err := web.Listen([]web.Config{{Unix: true, File: b.TempDir() + "/s", Mode: 0o700, UID: -1, GID: -1}})
	if err != nil {
		b.Fatal(err)
	}
	server := web.Serve(listeners, svc, rpc)
	defer server.Close()
	url := "unix://" + listeners.Addresses()[0]
	document, err := xmlrpc.EncodeCall("supervisor.getAllProcessInfo")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bytes", func(b *testing.B) {
		c, err := New(url, "", "")
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		for range b.N {
			resp, err := c.send(background, "POST", "/RPC2", document)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 64<<10)
			for err == nil {
				_, err = resp.body.Read(buf)
			}
			_ = resp.body.Close()
			svc.Take()
		}
	})
	b.Run("typed", func(b *testing.B) {
		c, err := New(url, "", "")
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		for range b.N {
			if list, err := c.Processes(background); err != nil || len(list) != 1000 {
				b.Fatal(len(list), err)
			}
			svc.Take()
		}
	})
}
