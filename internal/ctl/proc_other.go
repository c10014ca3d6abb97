//go:build !unix

package ctl

import "errors"

// readProc: there is no /proc here.
func readProc(string) (string, error) { return "", errors.ErrUnsupported }
