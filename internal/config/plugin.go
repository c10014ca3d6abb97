package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/graced/graced/internal/process"
)

// Plugin is an [rpcinterface:x] or [ctlplugin:x] section.
type Plugin struct {
	Name    string            // what follows the first colon of the section's name
	Factory string            // one of the Factory constants
	Options map[string]string // the section's other options; those of [DEFAULT] are left out (quirk A10)
	Origin  process.Origin
}

// The factories that are built in, by the names that Python files give them.
const (
	FactoryMain     = "supervisor.rpcinterface:make_main_rpcinterface"
	FactoryTwiddler = "supervisor_twiddler.rpcinterface:make_twiddler_rpcinterface"
	FactoryGrace    = "supervisor_grace.rpcinterface:make_grace_rpcinterface"
	FactoryCtlGrace = "supervisor_grace.controllerplugin:make_grace_controllerplugin"
)

const (
	rpcFactoryKey = "supervisor.rpcinterface_factory"
	ctlFactoryKey = "supervisor.ctl_factory"
)

var (
	rpcFactories = []string{FactoryMain, FactoryTwiddler, FactoryGrace}
	ctlFactories = []string{FactoryCtlGrace}
)

// plugins reads the sections that start with prefix (contract: config, "Plugins"). A factory that is not built in is an error that
// names those that are.
func (l *loader) plugins(prefix, factoryKey string, known []string) ([]Plugin, error) {
	var plugins []Plugin
	for _, sec := range l.table.sections {
		name, ok := strings.CutPrefix(sec.name, prefix)
		if !ok {
			continue
		}
		r := l.reader(sec, l.envNames)
		p := Plugin{Name: name, Options: map[string]string{}, Origin: process.Origin{File: sec.file, Line: sec.line}}
		spec, _, ok := r.text(factoryKey)
		builtin := strings.Join(known, ", ")
		p.Factory = entryPoint(spec)
		switch {
		case r.err != nil:
		case !ok:
			r.refuse(Missing, factoryKey, fmt.Sprintf("section [%s] does not specify a %s", sec.name, factoryKey), "built in: "+builtin)
		case !slices.Contains(known, p.Factory):
			r.refuse(NotBuiltIn, factoryKey, fmt.Sprintf("%s cannot be resolved within [%s]: the built-in factories are %s", spec, sec.name, builtin),
				"Python plugins cannot be loaded; name a built-in factory, or remove the section")
		}
		for _, key := range sec.order {
			if key != factoryKey && !sec.own[key].inherited {
				p.Options[key] = r.string(key, "")
			}
		}
		if r.err != nil {
			return nil, r.err
		}
		plugins = append(plugins, p)
	}
	return plugins, nil
}

// entryPoint returns the name of something in Python, module:attribute, without the blanks that may stand around its halves.
func entryPoint(s string) string {
	module, attribute, _ := strings.Cut(s, ":")
	return strip(module) + ":" + strip(attribute)
}
