//go:build linux && !amd64

package takeover

var older []int
