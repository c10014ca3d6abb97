package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/graced/graced/internal/process"
)

// TestOtherSites checks that what another site made a browser send changes nothing, and that everybody else may go on.
func TestOtherSites(t *testing.T) {
	svc := newShop(info("a", "a", process.Running))
	_, path := start(t, Config{}, svc, echo)
	for _, test := range []struct {
		headers []string
		passes  bool
	}{
		{nil, true},
		{[]string{"Sec-Fetch-Site: same-origin"}, true},
		{[]string{"Sec-Fetch-Site: none"}, true},
		{[]string{"Sec-Fetch-Site: cross-site"}, false},
		{[]string{"Sec-Fetch-Site: same-site"}, false},
		{[]string{"Sec-Fetch-Site: cross-site", "Origin: http://h:9001"}, false},
		{[]string{"Sec-Fetch-Site: same-origin", "Origin: https://outside"}, true}, // a proxy speaks TLS
		{[]string{"Sec-Fetch-Site: none", "Sec-Purpose: prefetch;prerender"}, false},
		{[]string{"Purpose: prefetch"}, false},
		{[]string{"Origin: http://h:9001"}, true},
		{[]string{"Origin: http://H:9001"}, true},
		{[]string{"Origin: http://h:9002"}, false},
		{[]string{"Origin: http://h"}, false},
		{[]string{"Origin: http://evil"}, false},
		{[]string{"Origin: null"}, false},
		{[]string{"Origin: http://h:9001.evil"}, false},
		{[]string{"Origin: http://evil", "Referer: http://h:9001/"}, false},
		{[]string{"Referer: http://h:9001/index.html?x"}, true},
		{[]string{"Referer: http://h:9001@evil/"}, false},
		{[]string{"Referer: http://evil/?http://h:9001/"}, false},
		{[]string{"Referer: %zz"}, false},
		{[]string{"Referer: about:blank"}, false},
		{[]string{"Referer:"}, true},
		{[]string{"Origin: https://public", "X-Forwarded-Host: public"}, true},
		{[]string{"Origin: https://public", "X-Forwarded-Host: public:443, inner"}, true},
		{[]string{"Origin: https://public", "X-Forwarded-Host: other"}, false},
	} {
		for _, request := range []string{get("/?action=stopall", test.headers...), post("/index.html", "action=stop&processname=a", test.headers...)} {
			resp, body := ask(t, path, request)
			calls := svc.Take()
			switch {
			case test.passes && (resp.StatusCode != 303 || calls == ""):
				t.Errorf("%v is refused: %d", test.headers, resp.StatusCode)
			case !test.passes && (resp.StatusCode != 403 || calls != "" || !strings.Contains(body, "Error code 403.") || resp.Header.Get("Cache-Control") != "no-store"):
				t.Errorf("%v passes: %d %s, %s", test.headers, resp.StatusCode, body, calls)
			}
		}
		// Everybody may look.
		for _, target := range []string{"/", "/?action=refresh", "/?message=x", "/tail.html?processname=a", "/ok.html", "/images/icon.png"} {
			if resp, _ := ask(t, path, get(target, test.headers...)); resp.StatusCode >= 400 {
				t.Errorf("%v cannot see %s: %d", test.headers, target, resp.StatusCode)
			}
		}
		svc.Take()
	}
	for origin, host := range map[string]string{"http://h": "h:80", "http://h:80": "h", "https://h": "h:443", "https://h:443": "H", "http://[::1]": "[::1]:80"} {
		r, err := http.NewRequest(http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set("Origin", origin)
		if foreign(r) {
			t.Errorf("%s is foreign to %s", origin, host)
		}
	}
}
