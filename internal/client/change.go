package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/graced/graced/internal/control"
)

// apiPrefix is where a graced has its JSON interface. Supervisor has nothing there.
const apiPrefix = "/api/v1/"

func isJSON(path string) bool { return strings.HasPrefix(path, apiPrefix) }

// Plan implements control.Change. The fault UnknownMethod says that the daemon is none of ours.
func (c *Client) Plan(ctx context.Context, req control.PlanRequest) (control.Plan, error) {
	var out control.Plan
	err := c.ask(ctx, "POST", "plan", req, &out)
	return out, err
}

// Findings implements control.Change.
func (c *Client) Findings(ctx context.Context, file string) (control.Findings, error) {
	var out control.Findings
	err := c.ask(ctx, "GET", "check?file="+url.QueryEscape(file), nil, &out)
	return out, err
}

// Preview implements control.Change.
func (c *Client) Preview(ctx context.Context, req control.PreviewRequest) (control.Preview, error) {
	var out control.Preview
	err := c.ask(ctx, "POST", "preview", req, &out)
	return out, err
}

// Update implements control.Change. Who asks is what the daemon sees of the connection.
func (c *Client) Update(ctx context.Context, req control.UpdateRequest) (control.Operation, error) {
	var out control.Operation
	err := c.ask(ctx, "POST", "update", req, &out)
	return out, err
}

// Scale implements control.Change.
func (c *Client) Scale(ctx context.Context, req control.ScaleRequest) (control.Scaling, error) {
	var out control.Scaling
	err := c.ask(ctx, "POST", "scale", req, &out)
	return out, err
}

// Act implements control.Change.
func (c *Client) Act(ctx context.Context, req control.ActRequest) (control.Operation, error) {
	var out control.Operation
	err := c.ask(ctx, "POST", "act", req, &out)
	return out, err
}

// Refresh implements control.Lifecycle.
func (c *Client) Refresh(ctx context.Context, target control.Target) ([]control.Result, error) {
	req := control.RefreshRequest{Name: target.Name}
	switch {
	case target.All:
		req.Name = "all"
	case target.Group:
		req.Name += ":*"
	}
	var out control.Refreshed
	if err := c.ask(ctx, "POST", "refresh", req, &out); err != nil {
		return nil, err
	}
	rows := make([]control.Result, len(out.Results))
	for i, p := range out.Results {
		rows[i] = control.Result{Group: p.Group, Name: p.Name, Code: control.Success, Text: "OK"}
		if p.FaultCode != 0 {
			rows[i].Code, rows[i].Text = p.FaultCode, p.Error
		}
	}
	return rows, nil
}

// Operations implements control.Change.
func (c *Client) Operations(ctx context.Context) ([]control.Operation, error) {
	var out struct{ Operations []control.Operation }
	err := c.ask(ctx, "GET", "operations", nil, &out)
	return out.Operations, err
}

// Operation implements control.Change. It may also answer after a while without news.
func (c *Client) Operation(ctx context.Context, id string, after int) (control.Operation, error) {
	var out control.Operation
	err := c.ask(ctx, "GET", "operations/"+id+"?after="+strconv.Itoa(after), nil, &out)
	return out, err
}

// Upgrade implements control.Change.
func (c *Client) Upgrade(ctx context.Context, binary string) error {
	return c.ask(ctx, "POST", "upgrade", control.UpgradeRequest{Binary: binary}, &struct{}{})
}

// CancelOperation implements control.Change.
func (c *Client) CancelOperation(ctx context.Context, id string) error {
	return c.ask(ctx, "POST", "operations/"+id+"/cancel", struct{}{}, &struct{}{})
}

// PauseOperation implements control.Change.
func (c *Client) PauseOperation(ctx context.Context, id string) error {
	return c.ask(ctx, "POST", "operations/"+id+"/pause", struct{}{}, &struct{}{})
}

// ResumeOperation implements control.Change.
func (c *Client) ResumeOperation(ctx context.Context, id string) error {
	return c.ask(ctx, "POST", "operations/"+id+"/resume", struct{}{}, &struct{}{})
}

// Why implements control.Explain.
func (c *Client) Why(ctx context.Context, name string) (control.Why, error) {
	var out control.Why
	err := c.ask(ctx, "GET", "why?name="+url.QueryEscape(name), nil, &out)
	return out, err
}

// Doctor implements control.Examine.
func (c *Client) Doctor(ctx context.Context) (control.Doctor, error) {
	var out control.Doctor
	err := c.ask(ctx, "GET", "doctor", nil, &out)
	return out, err
}

// Mark implements control.Desired.
func (c *Client) Mark(ctx context.Context, req control.MarkRequest) (control.Marking, error) {
	var out control.Marking
	err := c.ask(ctx, "POST", "mark", req, &out)
	return out, err
}

// History implements control.Desired.
func (c *Client) History(ctx context.Context) ([]control.Generation, error) {
	var out struct{ Generations []control.Generation }
	err := c.ask(ctx, "GET", "history", nil, &out)
	return out.Generations, err
}

// HistoryDiff implements control.Desired.
func (c *Client) HistoryDiff(ctx context.Context, from, to int) ([]control.GenerationChange, error) {
	var out struct{ Changes []control.GenerationChange }
	err := c.ask(ctx, "GET", "history/diff?from="+strconv.Itoa(from)+"&to="+strconv.Itoa(to), nil, &out)
	return out.Changes, err
}

// Standing implements control.Desired.
func (c *Client) Standing(ctx context.Context) (control.Standing, error) {
	var out control.Standing
	err := c.ask(ctx, "GET", "standing", nil, &out)
	return out, err
}

// ask exchanges JSON.
func (c *Client) ask(ctx context.Context, verb, path string, in, out any) error {
	var doc []byte
	if in != nil {
		var err error
		if doc, err = json.Marshal(in); err != nil {
			return fmt.Errorf("cannot ask for %s: %w", path, err)
		}
	}
	resp, err := c.send(ctx, verb, apiPrefix+path, doc)
	if err != nil {
		return err
	}
	defer resp.body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.body, maxResponse))
	if err != nil {
		return fmt.Errorf("cannot read the answer of %s: %w", c.serverURL, err)
	}
	if resp.status == statusOK {
		if err := json.Unmarshal(body, out); err != nil {
			return fmt.Errorf("cannot read the answer of %s: %w", c.serverURL, err)
		}
		return nil
	}
	var p control.Problem
	if resp.status != statusUnauthorized && json.Unmarshal(body, &p) == nil && p.Schema == control.ErrorSchema {
		return control.Fault(control.Code(p.FaultCode), p.Detail)
	}
	switch resp.status {
	case statusNotFound, statusBadRequest, statusNotImplemented: // Supervisor has no such page
		// It answers without having read the document, which it would take for the next request of this connection.
		_ = resp.body.Close()
		_ = c.Close()
		return control.Fault(control.UnknownMethod, path)
	}
	return &ProtocolError{URL: c.serverURL + apiPrefix + path, Code: resp.status, Reason: resp.reason}
}
