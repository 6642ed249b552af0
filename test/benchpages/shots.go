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
	"time"

	"github.com/piano-roc/rpn/internal/roc"
)

// A shot is an image of a page, for browser.mjs.
type shot struct {
	Origin string `json:"origin"`
	Path   string `json:"path"`
	File   string `json:"file"`
	Height int    `json:"height"`
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
	day := now.Format(time.DateOnly)
	var list []shot
	add := func(who, path, name string, height int) {
		list = append(list, shot{origins[who], path, filepath.Join(dir, name+".png"), height})
	}
	add(operator, "/national", "national", 1150)
	add(establishment, at, "etablissement", 1250)
	add(establishment, at+"/indicateurs", "indicateurs", 1100)
	add(establishment, at+"/organismes", "organismes", 900)
	add(nobody, "/meteo", "meteo", 900)
	add(insurer, "/amc/"+string(numero(0)), "amc", 1250)
	add(operator, "/decisions", "decisions", 900)
	add("console", "/console/national/direct", "direct", 1000)
	add(operator, "/national/certificats?jours=30", "certificats", 1000)
	add(establishment, at+"/echanges?du="+day+"&au="+day, "echanges", 1000)
	if refused != nil {
		add(establishment, at+"/echange/"+string(refused.ID), "echange", 1150)
	}
	plan, err := json.Marshal(map[string]any{"chromium": chromium, "shots": list})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "node", "browser.mjs")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = browser, bytes.NewReader(plan), os.Stderr, os.Stderr
	return cmd.Run()
}
