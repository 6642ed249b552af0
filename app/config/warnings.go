package config

import (
	"net"
	"os"
	"time"

	"github.com/piano-roc/rpn/internal/strict"
)

// Warnings are what may be written and looks wrong, each with its place.
func (c *Config) Warnings() strict.Errors { return c.warnings }

// warn notes what is allowed, and that few who write it mean.
func (c *Config) warn(doc *strict.Document) {
	if host, _, err := splitAddress(c.Admin); err == nil && c.AdminTLS == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			doc.Warn(doc.At("admin"), "write 127.0.0.1:9464, or the address of an administration network, or add admin_tls", "the pages of the operator are open on every network of this machine, without a password")
		}
	}
	if c.State == "" {
		doc.Warn(doc.At(), "add state: /var/lib/rpn", "there is no state folder: no journal, no figures, and a restart forgets the annuaire's answers and what operators decided")
	}
	t := c.Timeouts
	for _, x := range []struct {
		name, other   string
		shorter, than time.Duration
		why           string
	}{
		{"connect", "timeouts.exchange", t.Connect, t.Exchange, "an AMC that does not answer takes the whole exchange"},
		{"exchange", "timeouts.stop", t.Exchange, t.Stop, "a stop cuts exchanges that could still end"},
	} {
		if x.shorter >= x.than {
			doc.Warn(doc.At("timeouts", x.name), "write less than "+x.other, "%s is not less than the %s of %s: %s", x.shorter, x.than, x.other, x.why)
		}
	}
	if c.Annuaire.Timeout >= t.Exchange {
		doc.Warn(doc.At("annuaire", "timeout"), "write less than timeouts.exchange", "%s is not less than the %s that an exchange may take: nothing is left for the AMC", c.Annuaire.Timeout, t.Exchange)
	}
	if r := c.Revocation; !r.Follow && !r.OCSP && len(r.Lists) == 0 && r.Deny == "" {
		doc.Warn(doc.At("revocation"), "set follow: true, or give lists, and a deny list for the day when somebody must be out at once", "nothing says who is revoked: a stolen certificate is accepted until it ends")
	}
	for _, s := range c.secretFiles() {
		if info, err := os.Stat(s.file); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0 {
			doc.Warn(doc.At(s.path...), "chmod o-r "+s.file, "%s can be read by everybody on this machine (mode %04o)", s.file, info.Mode().Perm())
		}
	}
}

// A secretFile is a file that the RPN alone may read, and where it is named.
type secretFile struct {
	path []any
	file string
}

// secretFiles are the private keys, passwords and secrets that are given.
func (c *Config) secretFiles() (list []secretFile) {
	add := func(file string, path ...any) {
		if file != "" {
			list = append(list, secretFile{path, file})
		}
	}
	of := func(f *Files, path ...any) {
		add(f.Key, append(path[:len(path):len(path)], "key")...)
		add(f.PKCS12, append(path[:len(path):len(path)], "pkcs12")...)
		add(f.PassphraseFile, append(path[:len(path):len(path)], "passphrase_file")...)
	}
	for _, own := range c.tlsIdentities() {
		of(&own.Pair.Files, own.Name)
		if own.Pair.Second != nil {
			of(own.Pair.Second, own.Name, "second")
		}
	}
	if c.Facade.Signature != nil {
		of(c.Facade.Signature, "facade", "signature")
	}
	if c.Portal.Certificate != nil {
		of(c.Portal.Certificate, "portal", "certificate")
	}
	add(c.adminTLS().Key, "admin_tls", "key")
	add(c.Secrets, "secrets")
	add(c.Redis.PasswordFile, "redis", "password_file")
	add(c.Redis.SentinelPasswordFile, "redis", "sentinel_password_file")
	add(c.Indicators.PasswordFile, "indicators", "password_file")
	add(c.Mail.PasswordFile, "mail", "password_file")
	add(c.Journal.Key, "journal", "key")
	return list
}
