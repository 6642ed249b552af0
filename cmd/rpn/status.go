package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/annuaire"
	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/indicators/top"
	"github.com/piano-roc/rpn/tlsconf/expiry"
)

// A status is what an operator wants to see of an instance on one screen.
type status struct {
	Ready        admin.Readiness `json:"pret"`
	Activity     top.Activity    `json:"activite"`
	Held         annuaire.Held   `json:"annuaire"`
	Certificates []expiry.Expiry `json:"certificats"` // and revocation lists, near their end
}

// nearEnd is within how many days an end is shown.
const nearEnd = 30

// mostInsurers is how many insurers are asked for: every one that fails is among
// those of the highest failures.
const mostInsurers = 1000

func statusCommand() *cobra.Command {
	var where adminFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Montre l'état de l'instance sur un écran : ce qui va, ce qui attend, ce qui finit",
		Long: `Status montre sur un écran l'instance du RPN ROC qui tourne : chaque partie qui ne va
pas et que faire, les organismes par état (débit, échecs, p95, depuis quand ils sont au
repos), les files, les certificats et les listes de révocation qui finissent bientôt, ce
qui attend une décision.

Code de sortie : 0 quand tout va, 1 quand une partie manque (/readyz répond 503), est
dégradée, ou quand quelque chose attend une décision.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := askStatus(cmd.Context(), where)
			if err != nil {
				return err
			}
			if asJSON {
				err = writeIndented(cmd.OutOrStdout(), s)
			} else {
				_, err = fmt.Fprint(cmd.OutOrStdout(), s)
			}
			if err != nil {
				return failed(err)
			}
			if !s.Ready.Ready || len(s.Ready.Degraded) > 0 || s.Held.Waiting() > 0 {
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	where.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "en JSON")
	return cmd
}

// askStatus asks the running RPN for each part of its status.
func askStatus(ctx context.Context, where adminFlags) (s status, err error) {
	read := func(path string, into any) {
		if err != nil {
			return
		}
		var body []byte
		if body, _, err = where.ask(ctx, http.MethodGet, path); err == nil && json.Unmarshal(body, into) != nil {
			err = failed(errors.New("la réponse du RPN ne se lit pas : ce qui répond là n'est pas un RPN, ou est d'une autre version"))
		}
	}
	var c admin.Certificates
	read(readyz, &s.Ready)
	read("/-/top?"+url.Values{"tri": {string(top.ByRefusals)}, "lignes": {strconv.Itoa(mostInsurers)}}.Encode(), &s.Activity)
	read("/annuaire", &s.Held)
	read("/certificats?format=json", &c)
	s.Certificates = certificatesOptions{within: nearEnd}.keep(c.Certificates)
	return s, err
}

// A partName is what a part of /readyz is to an operator, and what to do when it
// does not go.
type partName struct{ name, remedy string }

// partNames are the parts of /readyz. A name that ends with _certificate or begins
// with trust_ is one of a family.
var partNames = map[string]partName{
	"accepting":          {"connexions", "attendre la fin du démarrage ou de l'arrêt ; sinon journalctl -u rpn"},
	"revocation":         {"révocation", "rétablir l'accès aux listes, ou les déposer dans revocation.lists (docs/operating/certificates.md)"},
	"register":           {"registre", "corriger les deux listes : rpn register check, puis rpn reload"},
	"accrochages":        {"accrochages", "libérer de la place dans le dossier d'état"},
	"annuaire":           {"annuaire", "joindre l'annuaire AMC ; les dernières réponses servent encore un temps (annuaire.max_age)"},
	"annuaire_changes":   {"décisions", "rpn annuaire held"},
	"annuaire_questions": {"questions à l'annuaire", "augmenter annuaire.per_second, en accord avec l'annuaire"},
	"annuaire_memory":    {"mémoire de l'annuaire", "libérer de la place dans le dossier d'état ; le journal technique dit la cause"},
	"dns":                {"DNS", "rétablir le serveur de noms (network.resolver, ou celui du système)"},
	"redis":              {"Redis", "rétablir Redis ; cette instance continue seule"},
	"limits":             {"limites", "rétablir Redis ; le partage reprend seul"},
	"amc":                {"organismes", "prévenir l'organisme au repos ; son retour est vu sans rien faire"},
	"capacity":           {"capacité", "chercher qui tient beaucoup : rpn top ; ajouter une instance"},
	"journal":            {"journal scellé", "libérer de la place dans le dossier du journal ; rpn journal verify"},
	"timestamp":          {"horodatage", "joindre l'autorité d'horodatage (journal.timestamp)"},
	"witnesses":          {"témoins", "joindre les témoins (journal.witnesses)"},
	"indicators":         {"indicateurs", "le journal technique dit la cause ; les chiffres rattrapent seuls leur retard"},
	"portal_provider":    {"portail, connexion", "joindre le fournisseur d'OpenID Connect (portal.oidc.issuer) ; les certificats entrent toujours"},
	"log":                {"journal technique", "rétablir ce qui lit la sortie standard du RPN"},
	"_certificate":       {"certificat", "déposer le certificat renouvelé, puis rpn reload"},
	"trust_":             {"confiance", "corriger le fichier des autorités : rpn check, puis rpn reload"},
}

// started is since when the instance runs, to the second.
func (s status) started() time.Duration { return s.Activity.At.Sub(s.Activity.Since) }
