package config

import (
	"path/filepath"
)

// Files of the state folder (Config.State). Each is "" when the configuration
// names no state folder.

// AttemptsDir is where the attempts of establishments in accrochage are kept.
func (c *Config) AttemptsDir() string { return c.inState("accrochages") }

// RegisterHistoryFile is the audit trail of the register.
func (c *Config) RegisterHistoryFile() string { return c.inState("register.jsonl") }

// HostsFile is where the hosts that the annuaire has named are kept.
func (c *Config) HostsFile() string { return c.inState("hotes.jsonl") }

// CertificatesFile is where the certificates that were seen are kept.
func (c *Config) CertificatesFile() string { return c.inState("certificats.jsonl") }

// ReplayFile is where the signatures of messages that came are kept.
func (c *Config) ReplayFile() string { return c.inState("rejeu.bin") }

// AnswersFile is where the annuaire's signed answers are kept.
func (c *Config) AnswersFile() string { return c.inState("annuaire.log") }

// RoutesFile is where the first addresses that the annuaire gave are kept.
func (c *Config) RoutesFile() string { return c.inState("annuaire-routes.json") }

// ActsFile is where what operators decided about the annuaire is kept.
func (c *Config) ActsFile() string { return c.inState("annuaire-actes.jsonl") }

// IndicatorsFile is where the figures are kept.
func (c *Config) IndicatorsFile() string { return c.inState("indicateurs.db") }

// DossiersFile is where the key of dossiers is kept until its period ends.
func (c *Config) DossiersFile() string { return c.inState("dossiers.key") }

// InvitationsFile is where the acts about invitations to the portal are kept.
func (c *Config) InvitationsFile() string { return c.inState("portail-invitations.jsonl") }

// ProposalsFile is where what operators propose and confirm is kept.
func (c *Config) ProposalsFile() string { return c.inState("portail-propositions.jsonl") }

// IncidentsFile is where what operators say of incidents is kept.
func (c *Config) IncidentsFile() string { return c.inState("portail-incidents.jsonl") }

// InvitationsKeyFile is the key of the links and pseudonyms of the portal.
func (c *Config) InvitationsKeyFile() string { return c.inState("portail.key") }

func (c *Config) inState(name string) string {
	if c.State == "" {
		return ""
	}
	return filepath.Join(c.State, name)
}
