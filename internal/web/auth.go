package web

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
)

// credentials are what a server asks for.
type credentials struct{ username, password string }

// admit reports whether the request may pass: the server is open, or the request names the right user and password. Whatever cannot be
// read counts as wrong (quirk D13).
func (c credentials) admit(r *http.Request) bool {
	if c.username == "" {
		return true
	}
	username, password, ok := r.BasicAuth()
	if !ok {
		return false
	}
	want := c.password
	if hash, hashed := strings.CutPrefix(want, "{SHA}"); hashed {
		sum := sha1.Sum([]byte(password))
		want, password = hash, hex.EncodeToString(sum[:])
	}
	// Both are compared always, in a time that tells nothing but the lengths.
	sameUser := subtle.ConstantTimeCompare([]byte(username), []byte(c.username))
	samePassword := subtle.ConstantTimeCompare([]byte(password), []byte(want))
	return sameUser&samePassword == 1
}
