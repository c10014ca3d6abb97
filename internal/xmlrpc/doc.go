// Package xmlrpc speaks Supervisor's control protocol: a codec for XML-RPC documents, and the namespaces of methods (supervisor, system,
// twiddler, grace) that translate calls to a control.Service.
//
// It owns the shape of requests and answers on the wire and decides nothing: every method checks its arguments, asks the service and
// writes down the answer. It never opens a connection; package web carries the documents for a server, package client for a caller.
// The mains and package client import it.
package xmlrpc
