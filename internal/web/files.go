package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

// file is a file of the web interface.
type file struct {
	content           []byte
	contentType, etag string
}

// fileTypes are the types that Supervisor announces.
var fileTypes = map[string]string{".css": "text/css", ".png": "image/png", ".gif": "image/gif"}

// files are the stylesheet and the images, by their paths below the root; directories have no content.
var files = sync.OnceValue(func() map[string]*file {
	all := map[string]*file{}
	root, err := fs.Sub(ui, "ui")
	if err == nil {
		err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil, name == ".", path.Ext(name) == ".html": // templates are no pages yet
				return err
			case entry.IsDir():
				all[name] = &file{}
				return nil
			}
			content, err := fs.ReadFile(root, name)
			sum := sha256.Sum256(content)
			all[name] = &file{content, fileTypes[path.Ext(name)], `"` + hex.EncodeToString(sum[:8]) + `"`}
			return err
		})
	}
	if err != nil {
		panic("cannot read the embedded files: " + err.Error())
	}
	return all
})

// built is when the files were last modified: with the program, which holds them.
var built = sync.OnceValue(func() time.Time {
	if program, err := os.Executable(); err == nil {
		if info, err := os.Stat(program); err == nil {
			return info.ModTime()
		}
	}
	return time.Now()
})

// serveFile answers GET and HEAD for a path without leading slashes.
func serveFile(w http.ResponseWriter, r *http.Request, name string) {
	// ".." cannot leave the root.
	f := files()[path.Clean("/" + name)[1:]]
	isDir := f != nil && f.content == nil
	switch {
	case f == nil, strings.HasSuffix(name, "/"), isDir && files()[name] == nil:
		fail(w, http.StatusNotFound)
	case isDir:
		w.Header().Set("Location", path.Base(name)+"/") // relative, whatever name the client has for this server
		fail(w, http.StatusMovedPermanently)
	default:
		w.Header().Set("Content-Type", f.contentType)
		w.Header().Set("ETag", f.etag) // an older program after a newer one has other files, and an earlier date
		http.ServeContent(w, r, "", built(), bytes.NewReader(f.content))
	}
}
