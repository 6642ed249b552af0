package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/piano-roc/rpn/internal/roc"
)

// A shot is an image of a page, for browser.mjs.
type shot struct {
	Origin string `json:"origin"`
	Path   string `json:"path"`
	File   string `json:"file"`
	Before string `json:"before,omitempty"` // ends above that element
	After  string `json:"after,omitempty"`  // or below it
}

// shots writes an image of each page that is shown in the documentation.
func (w *showcase) shots(ctx context.Context, dir, browser string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return fmt.Errorf("%w: run test/deps.sh", err)
	}
	origins := map[string]string{}
	for who, h := range map[string]http.Handler{nobody: w.as(nobody), establishment: w.as(establishment), insurer: w.as(insurer), operator: w.as(operator), "console": w.console} {
		s := httptest.NewServer(h)
		defer s.Close()
		origins[who] = s.URL
	}
	at := "/etablissement/" + string(structure(ours))
	var refused *roc.Record
	for _, x := range w.records {
		if x.From == structure(ours) && x.Reason == roc.AMCSilent {
			refused = x
		}
	}
	var list []shot
	add := func(who, path, name, before, after string) {
		list = append(list, shot{origins[who], path, filepath.Join(dir, name+".png"), before, after})
	}
	const tenth = "tbody tr:nth-child(10)"
	add(operator, "/national", "national", "#causes", "")
	add(establishment, at, "etablissement", "#fins", "")
	add(establishment, at+"/indicateurs", "indicateurs", "", "tbody tr:nth-child(20)")
	add(establishment, at+"/organismes", "organismes", "", tenth)
	add(nobody, "/meteo", "meteo", "#regle", "")
	add(insurer, "/amc/"+string(numero(0)), "amc", "#autres", "")
	add(operator, "/decisions", "decisions", "footer", "")
	add("console", "/console/national/direct", "direct", "", tenth)
	add(operator, "/national/certificats?jours=30", "certificats", "footer", "")
	if refused != nil {
		add(establishment, at+"/echange/"+string(refused.ID), "echange", "footer", "")
	}
	plan, err := json.Marshal(map[string]any{"chromium": chromium, "shots": list})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "node", "browser.mjs")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = browser, bytes.NewReader(plan), os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	for _, one := range list {
		if err := reduce(one.File); err != nil {
			return fmt.Errorf("%s: %w", one.File, err)
		}
	}
	return nil
}
