package portal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// A Theme is the style, the logo and the fonts of whoever runs the portal: the
// files theme.css, logo.svg or logo.png, and others that theme.css names, of one
// folder; nom.txt holds the name of the site. They are read once, and served
// from memory.
type Theme struct {
	Name string

	files  map[string][]byte
	logo   string
	styled bool
}

// The bounds of a theme.
const (
	maxThemeFile  = 1 << 20
	maxThemeFiles = 32
)

// themeKinds are the files that a theme may have: none of them can act.
var themeKinds = map[string]string{
	".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".ico": "image/x-icon",
	".woff2": "font/woff2", ".woff": "font/woff",
}

// ReadTheme reads a folder. A file that a theme may not have is an error.
func ReadTheme(dir string) (*Theme, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	t := &Theme{files: map[string][]byte{}}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || strings.HasPrefix(name, ".") {
			continue
		}
		if len(t.files) == maxThemeFiles {
			return nil, fmt.Errorf("%s holds more than %d files", dir, maxThemeFiles)
		}
		b, err := readSmall(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		switch {
		case name == "nom.txt":
			t.Name = strings.TrimSpace(string(b))
			continue
		case themeKinds[filepath.Ext(name)] == "":
			return nil, fmt.Errorf("%s: a theme holds nom.txt, and files of style, images and fonts (.css .svg .png .jpg .ico .woff2 .woff)", filepath.Join(dir, name))
		}
		t.files[name] = b
	}
	for _, logo := range []string{"logo.svg", "logo.png"} {
		if t.files[logo] != nil && t.logo == "" {
			t.logo = logo
		}
	}
	t.styled = t.files["theme.css"] != nil
	return t, nil
}

func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxThemeFile {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("larger than 1 MiB")}
	}
	return os.ReadFile(path)
}

func (p *Portal) serveStyle(w http.ResponseWriter, r *http.Request) {
	p.static(w, r, "text/css; charset=utf-8", style)
}

// serveIcon is the icon of the site: the theme's own, where it has one.
func (p *Portal) serveIcon(w http.ResponseWriter, r *http.Request) {
	if t := p.o.Theme; t != nil && t.files["icon.svg"] != nil {
		p.static(w, r, themeKinds[".svg"], t.files["icon.svg"])
		return
	}
	p.static(w, r, themeKinds[".svg"], icon)
}

func (p *Portal) serveTheme(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if p.o.Theme == nil || p.o.Theme.files[name] == nil {
		p.none(w, r)
		return
	}
	p.static(w, r, themeKinds[filepath.Ext(name)], p.o.Theme.files[name])
}

// static serves bytes that do not change, to whoever asks.
func (p *Portal) static(w http.ResponseWriter, r *http.Request, kind string, body []byte) {
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Write(body)
}
