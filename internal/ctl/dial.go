package ctl

import "github.com/graced/graced/internal/client"

// Dial connects to a daemon.
func Dial(serverURL, username, password string) (Proxy, error) {
	return client.New(serverURL, username, password)
}
