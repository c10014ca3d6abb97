package web

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "draw the images anew, and record Supervisor's answers in testdata")

// letters are those of the word mark, 5 by 7 points with two below the line.
var letters = map[rune]string{
	'g': "..... ..... .#### #...# #...# .#### ....# .###.",
	'r': "..... ..... #.##. ##... #.... #.... ..... .....",
	'a': "..... ..... .###. ....# .#### #...# ..... .....",
	'c': "..... ..... .#### #.... #.... .#### ..... .....",
	'e': "..... ..... .###. ##### #.... .#### ..... .....",
	'd': "....# ....# .#### #...# #...# .#### ..... .....",
}

var (
	green  = color.NRGBA{0x2f, 0x9e, 0x5b, 0xff}
	slate  = color.NRGBA{0x60, 0x74, 0x86, 0xff} // legible on light and dark
	states = []color.NRGBA{{0xb4, 0xbe, 0xc7, 0xff}, {0xe0, 0xb4, 0x4a, 0xff}, {0x67, 0xc2, 0x8c, 0xff}, {0xe2, 0x76, 0x7a, 0xff}}
)

func fill(m draw.Image, r image.Rectangle, c color.Color) {
	draw.Draw(m, r, image.NewUniform(c), image.Point{}, draw.Src)
}

// bars are our sign: three processes, one of which has just grown.
func bars(m draw.Image, at image.Point, unit int) {
	for i, height := range []int{4, 4, 7} {
		c := slate
		if i == 2 {
			c = green
		}
		x := at.X + i*3*unit
		fill(m, image.Rect(x, at.Y+(7-height)*unit, x+2*unit, at.Y+7*unit), c)
	}
}

// drawings are our images, under the names that pages made for Supervisor refer to.
func drawings() map[string]image.Image {
	palette := color.Palette{color.NRGBA{}, slate, green}
	icon := image.NewNRGBA(image.Rect(0, 0, 32, 32))
	bars(icon, image.Pt(0, 2), 4)

	mark := image.NewPaletted(image.Rect(0, 0, 242, 45), palette)
	bars(mark, image.Pt(0, 4), 4)
	for i, letter := range "graced" {
		for y, line := range strings.Fields(letters[letter]) {
			for x, point := range line {
				if point == '#' {
					fill(mark, image.Rect(0, 0, 4, 4).Add(image.Pt(48+i*24+x*4, 8+y*4)), slate)
				}
			}
		}
	}
	rule := image.NewPaletted(image.Rect(0, 0, 65, 2), palette)
	fill(rule, rule.Bounds(), slate)
	all := map[string]image.Image{"icon.png": icon, "supervisor.gif": mark, "rule.gif": rule}
	for i, c := range states {
		state := image.NewPaletted(image.Rect(0, 0, 61, 18), color.Palette{c})
		all["state"+string(rune('0'+i))+".gif"] = state
	}
	return all
}

// TestImages checks that the embedded images are what is drawn here, point by point.
func TestImages(t *testing.T) {
	for name, want := range drawings() {
		path := filepath.Join("ui/images", name)
		if *rewrite {
			var b bytes.Buffer
			err := png.Encode(&b, want)
			if strings.HasSuffix(name, ".gif") {
				b.Reset()
				err = gif.Encode(&b, want, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, format, err := image.Decode(bytes.NewReader(data))
		if err != nil || got.Bounds() != want.Bounds() || !strings.HasSuffix(name, "."+format) {
			t.Errorf("%s: %s, %v", name, format, err)
			continue
		}
		for y := range want.Bounds().Dy() {
			for x := range want.Bounds().Dx() {
				r, g, b, a := got.At(x, y).RGBA()
				wr, wg, wb, wa := want.At(x, y).RGBA()
				if r != wr || g != wg || b != wb || a != wa {
					t.Fatalf("%s: the point at %d, %d differs", name, x, y)
				}
			}
		}
	}
}
