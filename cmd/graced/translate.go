package main

import (
	"cmp"
	"io/fs"
	"strconv"

	"github.com/graced/graced/internal/config"
	"github.com/graced/graced/internal/web"
	"github.com/graced/graced/internal/xmlrpc"
)

// serverURL is what children are told: the first unix server, else the first inet one.
func serverURL(servers []config.Server) string {
	for _, s := range servers {
		if s.Kind == config.ServerUnix {
			return "unix://" + s.File
		}
	}
	for _, s := range servers {
		return "http://" + cmp.Or(s.Host, "localhost") + ":" + strconv.Itoa(s.Port)
	}
	return ""
}

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
