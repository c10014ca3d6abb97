package web

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/graced/graced/internal/control"
	"github.com/graced/graced/internal/control/controltest"
)

// answers are, by route, an answer of the service in which everything is set, and the schema of what the interface says then; "" = an empty object.
func answers() map[string]struct {
	answer any
	schema string
} {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	mark := control.Marked{Name: "web:*", Mark: control.MarkHold, Who: "anna", When: at, Note: "n"}
	scaled := control.ScaledProgram{Program: "web", File: "/f", Line: 1, SHA256: "00", Nums: []int{0}, Start: []string{"web:web_1"}, Stop: []string{}, Leave: []string{}}
	op := control.Operation{
		Schema: control.OperationSchema, ID: "op-1", State: control.OperationInterrupted, Behind: "op-0", BehindState: control.OperationPaused, Text: "t", Began: at, Ended: &at,
		Events: []control.ProgressLine{{Time: at, Type: "end", Process: "web:a", From: "web:b", Action: "live", OldPID: 1, PID: 2, Error: "e", Skipped: true}},
		Scaled: []control.ScaledProgram{scaled}, NotKept: "full", Earlier: true,
	}
	lacking := []control.Lacking{{Name: "web:a", Text: "no limit"}}
	scaling := op
	scaling.Scaled = nil
	return map[string]struct {
		answer any
		schema string
	}{
		"POST plan": {control.Plan{
			Schema: control.PlanSchema, Files: []control.PlanFile{{}}, Groups: []control.PlanGroup{}, Notes: []control.PlanNote{}, Overrides: []control.Override{},
			Failing: []control.FailingProcess{{Process: "a:a", State: "FATAL"}},
		}, control.PlanSchema},
		"GET check": {control.Findings{Schema: control.FindingsSchema, Errors: 1, List: []byte("[]"), Text: "t"}, control.FindingsSchema},
		"POST preview": {control.Preview{
			Schema: control.PreviewSchema, Group: "g", Start: []string{"g:a"}, Add: []string{}, Stop: []string{}, Remove: []string{}, Refused: true, Message: "m", Fields: []string{"f"},
		}, control.PreviewSchema},
		"POST update":      {op, control.OperationSchema},
		"POST refresh":     {[]control.Result{{Group: "g", Name: "p", Code: control.Success, Text: "OK"}, {Group: "g", Name: "q", Code: control.Failed, Text: "x"}}, "graced.refreshed/v1"},
		"POST act":         {op, control.OperationSchema},
		"POST scale":       {control.Scaling{Schema: control.ScalingSchema, Programs: []control.ScaledProgram{scaled}, Operation: &scaling}, control.ScalingSchema},
		"POST mark":        {control.Marking{Schema: control.MarksSchema, Verb: "hold", Marks: []control.Marked{mark}, NotKept: "full"}, control.MarksSchema},
		"GET history":      {[]control.Generation{{Rev: 1, When: at, Who: "w", Op: "op-1", Result: "done", Summary: "s"}}, control.HistorySchema},
		"GET history/diff": {[]control.GenerationChange{{Group: "g", Process: "p", Action: "changed", Option: "o", Variable: "v", Class: "live", Old: "1", New: "2"}}, control.HistoryDiffSchema},
		"GET standing":     {control.Standing{Schema: control.StandingSchema, Overrides: []control.Override{{Program: "web", File: "/f", Line: 1}}, Marks: []control.Marked{mark}, Newer: []string{"/f"}, NotKept: "full", Lacking: lacking, Restarts: map[string]int{"web:a": 1}}, control.StandingSchema},
		"GET why":          {control.Why{Schema: control.WhySchema, Timeline: []control.Moment{{Time: at, OutOfMemory: true}}, Stdout: []string{}, Stderr: []string{}, LooksLike: []string{}, Cgroup: "/c", Lacks: "l"}, control.WhySchema},
		"GET doctor": {control.Doctor{
			Schema: control.DoctorSchema, KeeperPID: 1, Features: []control.Feature{{Name: "splice", Disabled: true}}, Unknown: []string{"x"}, Grouped: 1, Lacking: lacking,
		}, control.DoctorSchema},
		"GET operations":           {[]control.Operation{op}, control.OperationsSchema},
		"GET operations/*":         {op, control.OperationSchema},
		"POST operations/*/cancel": {nil, ""},
		"POST operations/*/pause":  {nil, ""},
		"POST operations/*/resume": {nil, ""},
		"POST upgrade":             {nil, ""},
	}
}

// TestAPISchemas validates the answer of every route, and its errors, by the published schemas.
func TestAPISchemas(t *testing.T) {
	known, want := controltest.Schemas(t), answers()
	for _, route := range routes {
		name := route.method + " " + route.path
		svc := newService()
		_, path := start(t, Config{}, svc, echo)
		conn := dial(t, path)
		r := bufio.NewReader(conn)
		ask := func(method, path, head, body string) (int, string) {
			t.Helper()
			resp, text := exchange(t, conn, r, fmt.Sprintf("%s %s%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", method, apiPrefix, path, head, len(body), body))
			if kind := resp.Header.Get("Content-Type"); (resp.StatusCode == 200) != (kind == "application/json") || resp.StatusCode != 200 && kind != "application/problem+json" {
				t.Errorf("%s %s: status %d with %s", method, path, resp.StatusCode, kind)
			}
			if resp.StatusCode == 405 && resp.Header.Get("Allow") != route.method {
				t.Errorf("%s %s: allowed is %q", method, path, resp.Header.Get("Allow"))
			}
			return resp.StatusCode, text
		}
		place := strings.Replace(route.path, "*", "op-1", 1)
		const json = "Content-Type: application/json\r\n"
		svc.Answer = want[name].answer
		status, text := ask(route.method, place+"?from=1&to=2&after=-1&name=x", json, "{}")
		switch {
		case status != 200:
			t.Errorf("%s: status %d, %s", name, status, text)
		case want[name].schema == "" && text != "{}":
			t.Errorf("%s: %s", name, text)
		case want[name].schema != "":
			if schema, _ := controltest.Validate(t, known, text); schema != want[name].schema {
				t.Errorf("%s: a %s", name, schema)
			}
		}
		for status, request := range map[int]func() (int, string){
			405: func() (int, string) { return ask("PATCH", place, json, "{}") },
			404: func() (int, string) {
				svc.Err = control.Fault(control.BadName, "nope")
				return ask(route.method, place+"?from=1&to=2", json, "{}")
			},
			403: func() (int, string) { return ask(route.method, place, json+"Origin: http://evil.example\r\n", "{}") },
		} {
			got, text := request()
			if schema, _ := controltest.Validate(t, known, text); got != status || schema != control.ErrorSchema {
				t.Errorf("%s: status %d, want %d: %s", name, got, status, text)
			}
		}
	}
}

// TestAPIRefusals checks the errors that come before anything is asked: they are documents, and where the rest of a request is not read the connection ends.
func TestAPIRefusals(t *testing.T) {
	known := controltest.Schemas(t)
	_, path := start(t, Config{Username: "anna", Password: "secret"}, newService(), echo)
	const auth = "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n"
	for _, c := range []struct {
		request string
		status  int
		detail  string
		ends    bool
	}{
		{"GET /api/v1/history HTTP/1.1\r\nHost: x\r\n\r\n", 401, "a name and a password are wanted", true},
		{"POST /api/v1/update HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YW5uYTp3cm9uZw==\r\nContent-Length: 99999\r\n\r\n", 401, "a name and a password are wanted", true},
		{"GET /api/v1/nothing HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n", 404, "GET /api/v1/nothing", false},
		{"GET /api/v1/ HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n", 404, "GET /api/v1/", false},
		{"DELETE /api/v1/operations HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n", 405, "DELETE /api/v1/operations: use GET", false},
		{"POST /api/v1/history HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Length: 0\r\n\r\n", 405, "use GET", false},
		{"GET /api/v1/operations/op-1/cancel HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n", 405, "use POST", false},
		{"POST /api/v1/update HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Type: application/json\r\nContent-Length: 16777217\r\n\r\n", 413, "the body is larger than 16 MiB", true},
		{"POST /api/v1/update HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Type: application/json\r\n\r\n", 411, "the request says nothing of a body", true},
		{"POST /api/v1/update HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415, "the body must be application/json", false},
		{"POST /api/v1/update HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Type: application/json\r\nContent-Length: 1\r\n\r\n{", 400, "unexpected EOF", false},
		{"GET /api/v1/history/diff?from=x HTTP/1.1\r\nHost: x\r\n" + auth + "\r\n", 400, "invalid syntax", false},
	} {
		conn := dial(t, path)
		resp, text := exchange(t, conn, bufio.NewReader(conn), c.request)
		if kind := resp.Header.Get("Content-Type"); resp.StatusCode != c.status || kind != "application/problem+json" || resp.Close != c.ends || !strings.Contains(text, c.detail) {
			t.Errorf("%q: status %d, %s, closes %v: %s", c.request, resp.StatusCode, kind, resp.Close, text)
			continue
		}
		controltest.Validate(t, known, text)
		if (c.status == 401) != (resp.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%q: WWW-Authenticate %q", c.request, resp.Header.Get("WWW-Authenticate"))
		}
	}
}
