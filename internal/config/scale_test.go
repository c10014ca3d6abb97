package config

import (
	"fmt"
	"io/fs"
	"testing"
)

// TestNumprocsWords reads numbers of processes that depend on the machine, and Scaled puts others in their place.
func TestNumprocsWords(t *testing.T) {
	load := func(numprocs string) (*Config, error) {
		text := "[supervisord]\n[program:a]\ncommand=x\nprocess_name=%(program_name)s_%(process_num)d\nnumprocs=" + numprocs + "\nnumprocs_start=1\n"
		return Load(Machine{
			ReadFile: func(string) ([]byte, error) { return []byte(text), nil }, ReadDir: func(string) ([]string, error) { return nil, nil },
			Exists: func(string) bool { return true }, DirExists: func(string) bool { return true }, User: func(string) (User, error) { return User{}, fs.ErrNotExist },
			Group: func(string) (int, error) { return 0, fs.ErrNotExist }, Home: func(string) (string, error) { return "/", nil }, Dir: "/", TempDir: "/tmp", CPUs: 6,
		}, "/s.conf", nil)
	}
	for _, c := range []struct {
		text string
		want int
	}{{"3", 3}, {"auto", 6}, {" Cores ", 6}, {"cores-1", 5}, {"cores-9", 1}, {"cores+2", 8}, {"50%", 3}, {"10%", 1}, {"50%%", 3}, {"0", 0}} {
		got, err := load(c.text)
		if err != nil || len(got.Nums("a")) != c.want {
			t.Errorf("numprocs=%s: %v, %v, want %d", c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"many", "cores1", "cores-", "%", "-5%", "half%"} {
		if _, err := load(text); err == nil {
			t.Errorf("numprocs=%s is taken", text)
		}
	}
	c, err := load("2")
	if err != nil {
		t.Fatal(err)
	}
	scaled, err := c.Scaled(map[string][]int{"a": {2, 5, 9}, "gone": {1}})
	if err != nil || fmt.Sprint(scaled.Nums("a")) != "[2 5 9]" || scaled.CountInFile("a") != 2 || fmt.Sprint(c.Nums("a")) != "[1 2]" {
		t.Errorf("scaled: %v, %v; before %v", scaled.Nums("a"), err, c.Nums("a"))
	}
	if scaled, err = scaled.Scaled(map[string][]int{"a": {}}); err != nil || len(scaled.Nums("a")) != 0 {
		t.Errorf("scaled to nothing: %v, %v", scaled, err)
	}
}
