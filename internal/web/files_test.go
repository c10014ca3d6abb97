package web

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestFiles checks the files, what is remembered of them, and that no other file can be had.
func TestFiles(t *testing.T) {
	_, path := start(t, Config{}, newShop(), echo)
	for name, contentType := range map[string]string{
		"stylesheets/supervisor.css": "text/css", "images/icon.png": "image/png", "images/supervisor.gif": "image/gif", "images/rule.gif": "image/gif",
		"images/state0.gif": "image/gif", "images/state1.gif": "image/gif", "images/state2.gif": "image/gif", "images/state3.gif": "image/gif",
	} {
		content, err := ui.ReadFile("ui/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range []string{"/" + name, "//" + name, "/" + name + "?x=1", "/images/../" + name, "/" + strings.Replace(name, "/", "//", 1)} {
			resp, body := ask(t, path, get(target))
			if resp.StatusCode != 200 || body != string(content) || resp.Header.Get("Content-Type") != contentType || resp.ContentLength != int64(len(content)) {
				t.Errorf("%s: %d %v", target, resp.StatusCode, resp.Header)
			}
		}
		resp, body := ask(t, path, strings.Replace(get("/"+name), "GET", "HEAD", 1))
		modified := resp.Header.Get("Last-Modified")
		if when, err := http.ParseTime(modified); err != nil || resp.StatusCode != 200 || body != "" || resp.ContentLength != int64(len(content)) || when.After(time.Now()) {
			t.Errorf("%s: %d %v, %v", name, resp.StatusCode, resp.Header, err)
		}
		for header, status := range map[string]int{
			"If-Modified-Since: " + modified: 304, "If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT": 200, "If-Modified-Since: x": 200,
			"If-None-Match: " + resp.Header.Get("ETag"): 304, "If-None-Match: \"x\"\r\nIf-Modified-Since: " + modified: 200,
		} {
			if resp, body := ask(t, path, get("/"+name, header)); resp.StatusCode != status || (status == 304) != (body == "") {
				t.Errorf("%s, %s: %d", name, header, resp.StatusCode)
			}
		}
	}
	for target, where := range map[string]string{"/images": "images/", "//stylesheets": "stylesheets/"} {
		if resp, body := ask(t, path, get(target)); resp.StatusCode != 301 || resp.Header.Get("Location") != where || body != errorPage(301, "Moved Permanently") {
			t.Errorf("%s: %d %v", target, resp.StatusCode, resp.Header)
		}
	}
	for _, target := range []string{"/images/", "/stylesheets/", "/.", "/..", "/../", "/images/.", "/images/..", "/images/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/images/%2e%2e/ok.html",
		"/status.html", "/ui", "/ui/status.html", "/images/icon.png/", "/images/nope.gif", "/IMAGES/icon.png", "/index.html/", "/index.html%00", "/images/icon.png%00", "/pages.go"} {
		if resp, body := ask(t, path, get(target)); resp.StatusCode != 404 || body != errorPage(404, "Not Found") {
			t.Errorf("%s: %d", target, resp.StatusCode)
		}
	}
}
