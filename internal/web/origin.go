package web

import (
	"net/http"
	"net/url"
	"strings"
)

// foreign reports whether the request says that another site made a browser send it, or that a browser sends it on suspicion, before anybody
// has clicked. Such a request may look and not touch: browsers add the credentials for this server to requests that any page makes.
//
// What says nothing (curl, scripts, old browsers) passes, and so do addresses that a user typed or kept. Current browsers say nothing only
// for a GET to another machine without TLS, from a page that hides its address. It cannot be told from a bookmark.
func foreign(r *http.Request) bool {
	for _, header := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
		if strings.Contains(r.Header.Get(header), "prefetch") {
			return true
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "":
	case "same-origin", "none":
		return false
	default:
		return true // also same-site: another port of this machine is that already
	}
	source := r.Header.Get("Origin")
	if source == "" {
		source = r.Header.Get("Referer")
	}
	if source == "" {
		return false
	}
	from, err := url.Parse(source)
	if err != nil {
		return true
	}
	// A page cannot make a browser send X-Forwarded-Host: it is a proxy's, which may have replaced Host.
	forwarded, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ",")
	return !sameHost(from, r.Host) && !sameHost(from, strings.TrimSpace(forwarded))
}

// sameHost compares host and port. An address without a host ("null", of what has been made anonymous) is nobody's. The scheme cannot be
// compared, since a proxy may speak TLS for this server.
func sameHost(from *url.URL, host string) bool {
	port := map[string]string{"http": ":80", "https": ":443"}[from.Scheme]
	bare := func(s string) string { return strings.TrimSuffix(strings.ToLower(s), port) }
	return host != "" && bare(from.Host) == bare(host)
}
