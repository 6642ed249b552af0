// Dashboards writes what dashboards/ generates: the rules of Prometheus, the
// pages of Grafana and the list of alerts.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/piano-roc/rpn/dashboards"
)

func main() {
	root := flag.String("root", ".", "the folder of the repository")
	flag.Parse()
	if err := write(*root); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	files, err := dashboards.Files()
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	fmt.Println(len(files), "files written")
	return nil
}
