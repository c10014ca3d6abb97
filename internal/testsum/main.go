// Command testsum reads the output of `go test -json` and prints what a person wants to know of it: one line for each package, the
// whole output of what failed, and at the end a count with every skipped test and its reason.
//
// It exists because a skipped test is easily taken for a passed one. A skip is expected when its reason names something that is known
// to be absent from this machine (flag -absent); any other skip is printed loudly, and with -strict it fails the run. `make test` is
// its only user; nothing imports it.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	absentFile := flag.String("absent", "", "`file` of what this machine lacks: lines of a regular expression, a tab and the name of the thing")
	strict := flag.Bool("strict", false, "fail when a skip is not expected")
	flag.Parse()

	var absent []absence
	if *absentFile != "" {
		text, err := os.ReadFile(*absentFile)
		if err == nil {
			absent, err = parseAbsences(string(text))
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "testsum: cannot read what is absent: %v\n", err)
			os.Exit(2)
		}
	}
	sum, err := read(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "testsum: cannot read the test output: %v\n", err)
		os.Exit(2)
	}
	if !sum.report(os.Stdout, absent, *strict) {
		os.Exit(1)
	}
}
