package config

import "strings"

// CtlConfig is what the client reads: [supervisorctl] and [ctlplugin:x] (contract: config, "[supervisorctl]").
type CtlConfig struct {
	Path        string // absolute
	ServerURL   string // the path of a unix:// address is absolute
	Username    string
	Password    string
	Prompt      string
	HistoryFile string // absolute; "" = none
	Plugins     []Plugin
	Minimal     bool // [graced] update=minimal
	Warnings    []Warning
	Set         map[string]bool // the keys that the file sets
}

// DefaultServerURL is where the client looks for a daemon if nothing is configured.
const DefaultServerURL = "http://localhost:9001"

// DefaultCtl returns what the client uses without a configuration file.
func DefaultCtl() *CtlConfig {
	return &CtlConfig{ServerURL: DefaultServerURL, Prompt: "supervisor", Set: map[string]bool{}}
}

// LoadCtl reads the client's configuration from the main file alone; [include] is ignored (quirk E9). The error is an *Error.
func LoadCtl(m Machine, path string) (*CtlConfig, error) {
	l, err := newLoader(m, path)
	if err != nil {
		return nil, err
	}
	sec, ok := l.table.index["supervisorctl"]
	if !ok {
		return nil, &Error{File: path, Text: ".ini file does not include supervisorctl section", Hint: "add a line [supervisorctl]"}
	}
	return l.ctl(sec)
}

// ctl reads [supervisorctl] and the client's plugins.
func (l *loader) ctl(sec *section) (*CtlConfig, error) {
	m, c := l.m, DefaultCtl()
	c.Path = m.abspath(l.named)
	r := l.reader(sec, l.hereNames)
	c.ServerURL = r.string("serverurl", c.ServerURL)
	if path, ok := strings.CutPrefix(c.ServerURL, "unix://"); ok {
		c.ServerURL = "unix://" + m.normalize(path)
	}
	r.scope = l.envNames
	c.Prompt = r.string("prompt", c.Prompt)
	c.Username = r.string("username", "")
	c.Password = r.string("password", "")
	r.scope = l.hereNames
	if c.HistoryFile = r.string("history_file", ""); c.HistoryFile != "" {
		c.HistoryFile = m.normalize(c.HistoryFile)
	}
	for _, key := range l.table.keys(sec) {
		c.Set[key] = true
	}
	if r.err != nil {
		return nil, r.err
	}
	g, gerr := l.graced()
	if gerr != nil {
		return nil, gerr
	}
	c.Minimal = g.MinimalUpdate
	plugins, perr := l.plugins("ctlplugin:", ctlFactoryKey, ctlFactories)
	if perr != nil {
		return nil, perr
	}
	c.Plugins, c.Warnings = plugins, l.warnings
	return c, nil
}
