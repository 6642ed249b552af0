package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/app/config"
)

// A file that holds a password or a secret is refused where everybody may read it,
// whatever it is for.
func TestASecretThatEverybodyMayReadIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := `redis: {urls: ["rediss://redis.example:6379"], password_file: s, sentinel_password_file: s}
mail: {server: "smtp.example:587", from: rpn@example.fr, user: x, password_file: s}
indicators: {password_file: s}
portal: {listen: "127.0.0.1:0", oidc: {issuer: "https://auth.example", client_secret_file: s}}
`
	file := filepath.Join(dir, "rpn.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, refused := range map[os.FileMode]bool{0o644: true, 0o604: true, 0o640: false, 0o400: false} {
		secret := filepath.Join(dir, "s")
		os.Remove(secret)
		if err := os.WriteFile(secret, []byte("secret fictif\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(secret, mode); err != nil {
			t.Fatal(err)
		}
		_, err := config.Read(file)
		if err == nil {
			t.Fatal("the configuration is good: what does this test?")
		}
		for _, name := range []string{"redis.password_file", "redis.sentinel_password_file", "mail.password_file", "indicators.password_file", "portal.oidc.client_secret_file"} {
			said := false
			for line := range strings.Lines(err.Error()) {
				said = said || strings.Contains(line, name) && strings.Contains(line, "may read")
			}
			if said != refused {
				t.Errorf("%o: %s refused: %t\n%v", mode, name, said, err)
			}
		}
	}
}
