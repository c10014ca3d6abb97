// Package facts holds the contract: what Supervisor does and clients, files and scripts rely on, in one table of facts. Every fact names
// the tests that prove it for graced, and every difference has its reason. docs/compatibility.md is made from the table:
//
//	go test ./internal/contract/facts -rewrite
//
// A file holds one area. Its language, a line each:
//
//	= The title of the area
//	# topic: The title of a topic
//	area.topic.1 The fact, one sentence or two.
//	  test internal/config TestSearchPaths
//	  quirk A16 fixed: why we differ
//	// a remark
//
// Below a fact stand, indented:
//
//	test PACKAGE TestName        a Go test
//	test PACKAGE TestName/case   one of its cases: a text that stands in a string of the test's file, or in a file of the package's testdata, or
//	                             the name of such a file
//	test contract:NAME#LABEL     a part of internal/contract/testdata/NAME.script
//	test contract:NAME#text      a statement of it: a line, or at least eight characters of one
//	test config:TOPIC#TITLE      a configuration of internal/config/testdata/snippets/TOPIC.txt, which Supervisor was asked about
//	quirk ID kept                an oddity of the reference that is kept on purpose
//	quirk ID VERDICT: reason     one with a difference, see verdicts
//	differs: reason              a deliberate difference that is none of the known oddities
//	absent: reason               the fact does not apply to graced, so there is nothing to test
//	pending: NAME                who makes it; an error, so that a table is whole before it is shared
package facts
