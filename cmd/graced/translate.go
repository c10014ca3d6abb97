package main

import (
	"io/fs"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/web"
	"github.com/graced/graced/internal/xmlrpc"
)

// serverConfigs describes the servers in package web's terms.
func serverConfigs(servers []config.Server) []web.Config {
	out := make([]web.Config, len(servers))
	for i, s := range servers {
		out[i] = web.Config{
			Section: s.Section, Unix: s.Kind == config.ServerUnix, Host: s.Host, Port: s.Port, File: s.File, Mode: fs.FileMode(s.Chmod),
			UID: s.ChownUID, GID: s.ChownGID, Username: s.Username, Password: s.Password,
		}
	}
	return out
}

// rpcPlugins are the configured interfaces. Where the main one is among them, twiddler and grace are there without a section of their own; a
// file that leaves out the main one wants no control over XML-RPC, and gets none.
func rpcPlugins(configured []config.Plugin) []xmlrpc.Plugin {
	var out []xmlrpc.Plugin
	names, main := map[string]bool{}, false
	for _, p := range configured {
		out = append(out, xmlrpc.Plugin{Name: p.Name, Factory: p.Factory, Options: p.Options})
		names[p.Name] = true
		main = main || p.Factory == config.FactoryMain
	}
	for _, p := range []xmlrpc.Plugin{{Name: "twiddler", Factory: xmlrpc.FactoryTwiddler}, {Name: "grace", Factory: xmlrpc.FactoryGrace}} {
		if main && !names[p.Name] {
			out = append(out, p)
		}
	}
	return out
}

func sigpipe(g config.Graced) string {
	if g.DefaultSIGPIPE {
		return "default"
	}
	return "ignore"
}
