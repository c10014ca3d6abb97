package main

import (
	_ "embed"
	"fmt"
)

// sample is a configuration with every option: those that a first try needs in force, all others as comments with their defaults.
//
//go:embed sample.conf
var sample string

// echoSample is the program echo_supervisord_conf. Arguments mean nothing to it.
func echoSample([]string) int {
	fmt.Print(sample)
	return 0
}
