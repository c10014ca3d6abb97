package health

import (
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/graced/graced/internal/process"
)

// BenchmarkTry measures what one try costs, the other side included: a thousand processes that are asked every ten seconds cost a hundred tries in each.
func BenchmarkTry(b *testing.B) {
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer web.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	for name, c := range map[string]process.Check{"tcp": {Kind: process.CheckTCP, Target: l.Addr().String()}, "http": {Kind: process.CheckHTTP, Target: web.URL + "/x"}} {
		b.Run(name, func(b *testing.B) {
			before := processorTime()
			for b.Loop() {
				if why := try(b.Context(), &Target{}, c); why != "" {
					b.Fatal(why)
				}
			}
			b.ReportMetric(float64((processorTime()-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
