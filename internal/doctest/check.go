package doctest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/graced/graced/internal/config"
)

// checks says what is done with the blocks of each language. A language that is missing here is an error of the document: nobody would
// execute its blocks.
var checks = map[string]func(*document, Block) error{
	"console": func(d *document, b Block) error {
		sh, err := d.shell()
		if err != nil {
			return err
		}
		return RunConsole(sh, b)
	},
	"sh":      checkScript,
	"ini":     checkINI,
	"json":    checkJSON,
	"go":      checkGo,
	"make":    checkMake,
	"systemd": checkUnit,
	"xml":     checkXML,
	"text":    func(*document, Block) error { return nil },
}

// document is one file under test. It is used by one goroutine.
type document struct {
	tmp, bin, repo string
	sh             *Shell
}

// CheckDocument executes every block of a document in its order and returns all that is wrong with it.
func CheckDocument(file, text, tmp, bin, repo string) []string {
	blocks, problems := Parse(file, text)
	d := &document{tmp: tmp, bin: bin, repo: repo}
	defer func() {
		if d.sh != nil {
			d.sh.Close()
		}
	}()
	for _, b := range blocks {
		check, ok := checks[b.Tag]
		switch {
		case b.Tag == "": // Parse complained
			continue
		case !ok:
			problems = append(problems, fmt.Sprintf("%s: nobody executes blocks of language %q; known are %s", b.Place(), b.Tag,
				strings.Join(slices.Sorted(maps.Keys(checks)), ", ")))
			continue
		}
		if err := d.save(b); err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", b.Place(), err))
		}
		if err := check(d, b); err != nil {
			text := err.Error()
			if !strings.HasPrefix(text, b.File+":") {
				text = b.Place() + ": " + text
			}
			problems = append(problems, text)
			if errors.Is(err, errEnded) {
				break
			}
		}
	}
	return problems
}

// shell returns the document's shell; the first block that needs it starts it.
func (d *document) shell() (*Shell, error) {
	var err error
	if d.sh == nil {
		d.sh, err = NewShell(d.tmp, d.bin, d.repo)
	}
	return d.sh, err
}

// save writes a block with the attribute file=NAME into the shell's directory, where later commands find it.
func (d *document) save(b Block) error {
	name, ok := b.Attrs["file"]
	if !ok {
		return nil
	}
	if !filepath.IsLocal(name) {
		return fmt.Errorf("file=%s leads out of the document's directory", name)
	}
	sh, err := d.shell()
	if err != nil {
		return err
	}
	path := filepath.Join(sh.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.Text), 0o644)
}

// checkScript runs a block as one script, which has to succeed.
func checkScript(d *document, b Block) error {
	sh, err := d.shell()
	if err != nil {
		return err
	}
	output, status, err := sh.Run("( set -e\n" + b.Text + ")")
	if err == nil && status != 0 {
		err = fmt.Errorf("exit status %d, output:\n%s", status, output)
	}
	return err
}

// checkINI loads a block as a configuration on a machine where every user and directory exists. A fragment gets the [supervisord]
// section it lacks. Attribute refused: the file must be refused. Attribute warns: warnings are what the text is about.
func checkINI(_ *document, b Block) error {
	const path = "/doc/supervisord.conf"
	text := b.Text
	if !strings.Contains("\n"+text, "\n[supervisord]") {
		text += "\n[supervisord]\n"
	}
	m := config.Machine{
		ReadFile: func(name string) ([]byte, error) {
			if name != path {
				return nil, fs.ErrNotExist
			}
			return []byte(text), nil
		},
		ReadDir:   func(string) ([]string, error) { return nil, fs.ErrNotExist },
		Exists:    func(string) bool { return true },
		DirExists: func(string) bool { return true },
		Stat:      func(string) (config.FileInfo, error) { return config.FileInfo{}, fs.ErrPermission },
		User:      func(name string) (config.User, error) { return config.User{Name: name, UID: 1000, GID: 1000}, nil },
		Group:     func(string) (int, error) { return 1000, nil },
		Home:      func(string) (string, error) { return "/home/doc", nil },
		Hostname:  "host",
		Environ:   []string{"HOME=/home/doc", "PATH=/usr/bin:/bin", "USER=doc", "LANG=C.UTF-8"},
		Dir:       "/doc",
		TempDir:   "/tmp",
	}
	c, err := config.Load(m, path, nil)
	if err == nil && strings.Contains("\n"+text, "\n[supervisorctl]") {
		_, err = config.LoadCtl(m, path)
	}
	if _, refused := b.Attrs["refused"]; refused {
		if err == nil {
			return errors.New("the text says that this configuration is refused, but it loads")
		}
		return nil
	}
	if err != nil {
		var detail *config.Error
		if errors.As(err, &detail) {
			return errors.New(detail.Detail())
		}
		return err
	}
	if _, warns := b.Attrs["warns"]; warns {
		return nil
	}
	for _, w := range c.Warnings {
		unknown := w.Code == config.UnknownSection || w.Code == config.UnknownKey
		// That an include pattern finds nothing says nothing of the text.
		if unknown || w.Level <= config.LevelWarn && w.Code != config.NoIncludeMatch {
			return fmt.Errorf("%s", w)
		}
	}
	return checkFurther(m, path)
}

// checkFurther refuses what gracectl check warns of, but for what is about the machine.
func checkFurther(m config.Machine, path string) error {
	for _, f := range config.Check(m, path).Findings {
		if f.Code != config.WarnExecutable && f.Code != config.NoIncludeMatch {
			return fmt.Errorf("line %d: %s[%s] %s", f.Line, f.Severity, f.Code, f.Title)
		}
	}
	return nil
}

// checkJSON parses every value of a block.
func checkJSON(_ *document, b Block) error {
	dec := json.NewDecoder(strings.NewReader(b.Text))
	for n := 0; ; n++ {
		var v any
		err := dec.Decode(&v)
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			return nil
		case err != nil:
			return fmt.Errorf("not JSON: %v", err)
		}
	}
}

// checkGo parses a block, a whole file or a fragment, and wants it as gofmt prints it.
func checkGo(_ *document, b Block) error {
	formatted, err := format.Source([]byte(b.Text))
	if err != nil {
		return fmt.Errorf("not Go: %v", err)
	}
	if string(formatted) != b.Text {
		return fmt.Errorf("not as gofmt prints it:\n%s", formatted)
	}
	return nil
}

// checkMake lets make print what it would do: for the calls "make TARGET" that a block consists of, in the repository, or with the block
// as a makefile.
func checkMake(d *document, b Block) error {
	dry := func(stdin string, args ...string) error {
		cmd := exec.Command("make", append([]string{"-n"}, args...)...)
		cmd.Dir, cmd.Stdin = d.repo, strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	}
	if !strings.HasPrefix(b.Text, "make") {
		return dry(b.Text, "-f", "-")
	}
	for line := range strings.Lines(b.Text) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] != "make" {
			return fmt.Errorf("neither a makefile nor calls of make: %s", line)
		}
		if err := dry("", words[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// checkUnit reads a block as a unit of systemd: sections of the names it knows, keys with values.
func checkUnit(_ *document, b Block) error {
	section := ""
	for line := range strings.Lines(b.Text) {
		line = strings.TrimSpace(line)
		key, _, ok := strings.Cut(line, "=")
		switch {
		case line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";"):
		case strings.HasPrefix(line, "["):
			section = line
			if !slices.Contains([]string{"[Unit]", "[Service]", "[Install]", "[Socket]"}, section) {
				return fmt.Errorf("unknown section %s of a unit", section)
			}
		case !ok || key == "" || section == "" || strings.ContainsAny(key, " \t"):
			return fmt.Errorf("not a line of a unit: %s", line)
		}
	}
	return nil
}

// checkXML reads a block to its end.
func checkXML(_ *document, b Block) error {
	dec := xml.NewDecoder(bytes.NewReader([]byte(b.Text)))
	for {
		_, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("not XML: %v", err)
		}
	}
}
