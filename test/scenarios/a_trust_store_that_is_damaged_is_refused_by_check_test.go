package scenarios

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/piano-roc/rpn/test/nation"
)

// An authority never vanishes from a trust store in silence: what rpn check
// cannot read, it names by its line.
func TestATrustStoreThatIsDamagedIsRefusedByCheck(t *testing.T) {
	t.Parallel()
	n := nation.New(t, nation.NotStarted)
	file := n.File("confiance/etablissements-tls.pem")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.LastIndex(good, []byte("-----BEGIN"))
	first, rest := string(good[:second]), string(good[second:])
	line := fmt.Sprintf("line %d", strings.Count(first, "\n")+1)
	for name, text := range map[string]string{
		"good":                first + rest,
		"a byte order mark":   "\xef\xbb\xbf" + first + rest,
		"joined":              strings.TrimSpace(first) + rest,
		"damaged base64":      first + strings.Replace(rest, "\nMI", "\n!!", 1),
		"cut":                 first + rest[:len(rest)-40],
		"another label":       first + strings.ReplaceAll(rest, " CERTIFICATE", " CERTIFICAT"),
		"a list in its place": first + strings.ReplaceAll(rest, " CERTIFICATE", " X509 CRL"),
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		p := nation.Run(t, "check", "--config", n.ConfigFile())
		bad := name != "good" && name != "a byte order mark" && name != "joined"
		code := p.Wait()
		said := p.Errors.String()
		if bad != (code == 1) || bad && (!strings.Contains(said, line) || !strings.Contains(said, file)) {
			t.Errorf("%s: exit code %d, %q; want %s", name, code, said, line)
		}
		if !bad && !strings.Contains(p.Output.String(), "1 roots, 1 intermediates") {
			t.Errorf("%s: %s", name, p.Output)
		}
	}
}
