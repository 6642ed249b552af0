package config

import (
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/piano-roc/rpn/internal/strict"
)

// Redis is where the instances of one RPN share the annuaire's answers and,
// where policies.replay is enforce, the signatures that came. It is neither
// trusted nor needed: an answer read from it is checked like one that just
// came, and while Redis is lost each instance goes on alone. It is on no
// message's way while what the message needs is remembered, except that
// policies.replay: enforce asks it about each message (100 ms at most); with
// observe each instance counts what it sees itself.
type Redis struct {
	// URLs say where it is: one URL for a single Redis; the Sentinels with
	// sentinel_master; some of the nodes with cluster. "rediss://" is TLS,
	// "redis://" is not; a path gives the number of the database:
	// ["rediss://redis.example:6379/0"]. All of one scheme. Default: no Redis.
	URLs []string `yaml:"urls"`

	// SentinelMaster is the name that the Sentinels give the master. Default:
	// the URLs are no Sentinels.
	SentinelMaster string `yaml:"sentinel_master"`

	// Cluster says that the URLs are nodes of a Redis Cluster. Default: false.
	Cluster bool `yaml:"cluster"`

	// User is the ACL user. Default: Redis's own default user.
	User string `yaml:"user"`

	// PasswordFile is a file that holds the password on its only line. A
	// password stands in no URL and not here. Default: none.
	PasswordFile string `yaml:"password_file"`

	// SentinelUser is the ACL user of the Sentinels, where it is another than
	// Redis's. Default: user.
	SentinelUser string `yaml:"sentinel_user"`

	// SentinelPasswordFile is a file that holds the password of the Sentinels
	// on its only line. Default: password_file; Sentinels that ask for no
	// password are given none.
	SentinelPasswordFile string `yaml:"sentinel_password_file"`

	// CA is the PEM file of the authorities that Redis's certificate is of,
	// with rediss. Default: those of the system.
	CA string `yaml:"ca"`

	password, sentinelPassword string
}

// Given reports whether the configuration has a Redis.
func (r *Redis) Given() bool { return len(r.URLs) > 0 }

// checkRedis checks the section redis.
func (c *Config) checkRedis(doc *strict.Document) {
	r := &c.Redis
	if !r.Given() {
		if r.SentinelMaster != "" || r.Cluster || r.User != "" || r.PasswordFile != "" || r.SentinelUser != "" || r.SentinelPasswordFile != "" || r.CA != "" {
			doc.Refuse(doc.At("redis"), `add urls: ["rediss://redis.example:6379"], or remove the section`, "redis.urls is missing")
		}
		return
	}
	if c.Secrets == "" {
		doc.Refuse(doc.At("redis"), "add secrets: secrets.txt, made with `openssl rand -hex 32`, the same on every instance", "redis needs secrets: who can write in Redis could else give one answer for another")
	}
	schemes := map[string]bool{}
	for i, raw := range r.URLs {
		u, err := url.Parse(raw)
		switch at := doc.At("redis", "urls", i); {
		case err != nil || u.Hostname() == "" || u.Scheme != "redis" && u.Scheme != "rediss":
			doc.RefuseSecret(at, `write it like "rediss://redis.example:6379/0"`, "it is not a redis or rediss URL")
			return
		case u.User != nil:
			doc.RefuseSecret(at, "move them to redis.user and redis.password_file", "the URL holds a user or a password")
			return
		case strings.Trim(u.Path, "/") != "" && !isDatabase(u.Path):
			doc.Refuse(at, "end it with the number of the database: /0", "%q is not a database", u.Path)
		default:
			schemes[u.Scheme] = true
		}
	}
	switch {
	case len(schemes) > 1:
		doc.Refuse(doc.At("redis", "urls"), "write all of them with rediss", "some URLs are TLS and some are not")
	case r.SentinelMaster != "" && r.Cluster:
		doc.Refuse(doc.At("redis", "cluster"), "remove one of the two", "Redis is behind Sentinels, or a Cluster, not both")
	case len(r.URLs) > 1 && r.SentinelMaster == "" && !r.Cluster:
		doc.Refuse(doc.At("redis", "urls"), "add sentinel_master or cluster: true, or keep one URL", "several URLs and no word of what they are")
	case (r.SentinelUser != "" || r.SentinelPasswordFile != "") && r.SentinelMaster == "":
		doc.Refuse(doc.At("redis"), "add sentinel_master, or remove sentinel_user and sentinel_password_file", "a login of Sentinels is given and Redis is not behind Sentinels")
	case r.CA != "" && !schemes["rediss"]:
		doc.Refuse(doc.At("redis", "ca"), "write the URLs with rediss", "an authority is given and Redis is not reached by TLS")
	}
	if c.Environment == Production && !schemes["rediss"] && !r.local() {
		doc.Refuse(doc.At("redis", "urls"), "write it with rediss", "in production a Redis on another machine is reached by TLS")
	}
	r.password = readPassword(doc, doc.At("redis", "password_file"), r.PasswordFile)
	r.sentinelPassword = readPassword(doc, doc.At("redis", "sentinel_password_file"), r.SentinelPasswordFile)
}

// Password is what password_file holds.
func (r *Redis) Password() string { return r.password }

// SentinelPassword is what sentinel_password_file holds.
func (r *Redis) SentinelPassword() string { return r.sentinelPassword }

// local reports whether every URL is of this machine.
func (r *Redis) local() bool {
	for _, raw := range r.URLs {
		u, _ := url.Parse(raw)
		if !isLocal(u.Hostname()) {
			return false
		}
	}
	return true
}

// isLocal reports whether a host is this machine by its name alone.
func isLocal(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

func isDatabase(path string) bool {
	n, err := strconv.Atoi(strings.Trim(path, "/"))
	return err == nil && n >= 0 && n < 1<<16
}

// readPassword reads the only line of a file that the configuration names there: the
// one door of passwords and secrets of a line. A file that everybody may read is refused.
func readPassword(doc *strict.Document, at strict.Position, file string) string {
	if file == "" {
		return ""
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "" // said by checkFiles
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o007 != 0 {
		doc.Refuse(at, "chmod 0400 it, or 0440 with a group of its own", "everybody on this machine may read %s", file)
	}
	password := strings.TrimSpace(string(b))
	if password == "" || strings.Contains(password, "\n") {
		doc.Refuse(at, "write the password on its only line", "%s does not hold one line", file)
	}
	return password
}
