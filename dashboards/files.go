package dashboards

import "fmt"

// Files are the generated files, by their path in the repository.
func Files() (map[string][]byte, error) {
	rules, err := RulesFile()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"dashboards/rules/rpn.rules.yaml": rules, "docs/operating/alerts.md": AlertsPage()}
	for _, d := range Dashboards() {
		page, err := d.JSON()
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", d.UID, err)
		}
		files["dashboards/grafana/"+d.UID+".json"] = page
	}
	return files, nil
}
