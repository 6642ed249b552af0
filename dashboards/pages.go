package dashboards

// Dashboards lists the pages.
func Dashboards() []Dashboard {
	return []Dashboard{nationPage(), etablissementPage(), insurerPage(), directoryPage(), certificatesPage(), rpnPage(), limitsPage(), journalPage()}
}

// Short forms of what many panels are.

func number(title, description, unit, expr string) Panel {
	return Panel{Kind: Number, Title: title, Description: description, Unit: unit, Queries: []Query{{expr, ""}}}
}

func lines(title, description, unit, expr, legend string) Panel {
	return Panel{Kind: Lines, Title: title, Description: description, Unit: unit, Queries: []Query{{expr, legend}}}
}

func listing(title, description, unit, expr string) Panel {
	return Panel{Kind: Table, Title: title, Description: description, Unit: unit, Queries: []Query{{expr, ""}}}
}

// quantiles draws the median, the 95th and the 99th centile of a histogram.
func quantiles(title, description, unit, buckets string) Panel {
	p := Panel{Kind: Lines, Title: title, Description: description, Unit: unit}
	for _, q := range [][2]string{{"0.5", "médiane"}, {"0.95", "95 %"}, {"0.99", "99 %"}} {
		p.Queries = append(p.Queries, Query{"histogram_quantile(" + q[0] + ", " + buckets + ")", q[1]})
	}
	return p
}

func (p Panel) with(q ...Query) Panel        { p.Queries = append(p.Queries, q...); return p }
func (p Panel) high(warn, bad float64) Panel { p.Warn, p.Bad = warn, bad; return p }
func (p Panel) low(warn, bad float64) Panel  { p.Low, p.Warn, p.Bad = true, warn, bad; return p }
func (p Panel) stacked() Panel               { p.Stack = true; return p }

func nationPage() Dashboard {
	return Dashboard{UID: "rpn-nation", Title: "RPN ROC : situation nationale",
		Description: "Ce qui passe par le RPN, ce qui aboutit, et qui doit agir quand cela n'aboutit pas.",
		Rows: []Row{
			{"En ce moment", []Panel{
				number("Échanges par seconde", "Échanges terminés par seconde, toutes instances ensemble, en moyenne sur 5 minutes.", perSecond, `sum(rpn:exchanges:rate5m)`),
				number("Part répondue", "Part des échanges de la dernière heure auxquels l'organisme a répondu.", ratio,
					`sum(increase(rpn_exchanges_total{code="answered"}[1h])) / sum(increase(rpn_exchanges_total[1h]))`).low(0.95, 0.8),
				number("Organismes en échec", "Organismes dont un appel sur cinq au moins échoue, sur 5 minutes et 5 appels ou plus.", plain,
					`count(amc:failures_per_exchange:ratio_rate5m >= 0.2 and amc:exchanges:increase5m >= 5) or vector(0)`).high(1, 3),
				number("Alertes en cours", "Alertes qui sonnent en ce moment ; la liste est dans Prometheus.", plain, `count(ALERTS{alertstate="firing"}) or vector(0)`).high(1, 5),
			}},
			{"Échanges", []Panel{
				lines("Échanges par service", "Échanges terminés par seconde, par service.", perSecond, `sum by (service) (rate(rpn_exchanges_total[$__rate_interval]))`, "{{service}}").stacked(),
				lines("Qui doit agir", "Échanges par seconde, par celui qui doit agir : « personne » quand l'organisme a répondu.", perSecond,
					`sum by (responsable) (rate(rpn_exchanges_total[$__rate_interval]))`, "{{responsable}}").stacked(),
				quantiles("Durée d'un échange", "Du premier octet reçu au dernier octet rendu, organisme compris.", duration,
					`sum by (le) (rate(rpn_exchange_step_seconds_bucket{step="total"}[$__rate_interval]))`).high(5, 20),
				lines("Causes principales", "Les dix causes les plus fréquentes des échanges sans réponse (docs/refusals.md).", perSecond,
					`topk(10, sum by (cause) (rate(rpn_causes_total[$__rate_interval])))`, "{{cause}}"),
				listing("Issues de la dernière heure", "Nombre d'échanges par code : answered (répondu), far-fault (erreur de l'organisme), abandoned (appelant parti) ou RPNnnn.", plain,
					`sort_desc(sum by (code, responsable) (increase(rpn_exchanges_total[1h])) > 0)`),
				listing("Organismes : appels de la dernière heure", "Appels par organisme et par issue : answered, far-fault, failed (échec de l'organisme), refused, abandoned.", plain,
					`sum by (amc, outcome, nom) ((increase(rpn_amc_exchanges_total{amc!~"aucune|autre"}[1h]) > 0) * on (amc) group_left (nom) max by (amc, nom) (rpn_amc_info))`),
			}},
		},
	}
}

func etablissementPage() Dashboard {
	of := `{structure="$structure"}`
	return Dashboard{UID: "rpn-etablissement", Title: "RPN ROC : un établissement",
		Description: "Ce qu'un établissement a envoyé, ce qui a abouti et le temps passé. Demande la page /metrics/etablissements (docs/operating/dashboards.md).",
		Variables:   []Variable{{Name: "structure", Label: "Établissement", Metric: "rpn_etablissement_info", Value: "structure"}},
		Rows: []Row{
			{"L'établissement", []Panel{
				{Kind: Number, Title: "Nom", Description: "Nom de l'établissement au registre.", Unit: "none",
					Queries: []Query{{`max by (nom) (rpn_etablissement_info` + of + `)`, "{{nom}}"}}},
				number("Échanges de la dernière heure", "Échanges terminés, quelle qu'en soit l'issue.", plain, `sum(increase(rpn_etablissement_exchanges_total`+of+`[1h]))`),
				number("Part répondue", "Part des échanges de la dernière heure auxquels l'organisme a répondu.", ratio,
					`sum(increase(rpn_etablissement_exchanges_total{structure="$structure",responsable="personne"}[1h])) / sum(increase(rpn_etablissement_exchanges_total`+of+`[1h]))`).low(0.95, 0.8),
				number("Refusés pour débit", "Échanges de la dernière heure refusés parce que l'établissement en a envoyé trop (RPN110).", plain,
					`sum(increase(rpn_etablissement_limited_total`+of+`[1h]))`).high(1, 100),
			}},
			{"Dans le temps", []Panel{
				lines("Qui doit agir", "Échanges par seconde, par celui qui doit agir : « personne » quand l'organisme a répondu.", perSecond,
					`sum by (responsable) (rate(rpn_etablissement_exchanges_total`+of+`[$__rate_interval]))`, "{{responsable}}").stacked(),
				lines("Durée moyenne d'un échange", "En moyenne : au total, à attendre l'organisme (amc), et ce que le RPN a pris lui-même (rpn).", duration,
					`sum by (part) (rate(rpn_etablissement_seconds_total`+of+`[$__rate_interval])) / on () group_left () sum(rate(rpn_etablissement_exchanges_total`+of+`[$__rate_interval]))`, "{{part}}").high(5, 20),
				lines("Refusés pour débit", "Échanges par seconde refusés parce que l'établissement en envoie trop (RPN110).", perSecond,
					`sum(rate(rpn_etablissement_limited_total`+of+`[$__rate_interval]))`, "RPN110"),
				listing("Les vingt établissements les plus actifs", "Échanges de la dernière heure.", plain,
					`topk(20, sum by (structure, nom) (sum by (structure) (increase(rpn_etablissement_exchanges_total[1h])) * on (structure) group_left (nom) max by (structure, nom) (rpn_etablissement_info)))`),
			}},
		},
	}
}

func insurerPage() Dashboard {
	const of = `{amc="$amc"}`
	return Dashboard{UID: "rpn-amc", Title: "RPN ROC : un organisme",
		Description: "Un organisme complémentaire (AMC) : ce qui lui est envoyé, ce qu'il répond, en combien de temps.",
		Variables:   []Variable{{Name: "amc", Label: "Organisme (numéro AMC)", Metric: "rpn_amc_info", Value: "amc"}},
		Rows: []Row{
			{"L'organisme", []Panel{
				{Kind: Number, Title: "Nom", Description: "Nom de l'organisme au registre.", Unit: "none", Queries: []Query{{`max by (nom) (rpn_amc_info` + of + `)`, "{{nom}}"}}},
				number("Appels de la dernière heure", "Échanges dont l'organisme était le destinataire.", plain, `sum(increase(rpn_amc_exchanges_total`+of+`[1h]))`),
				number("Part en échec", "Part des appels de la dernière heure que l'organisme a fait échouer (pas de réponse exploitable, RPN401 à 405).", ratio,
					`sum(increase(rpn_amc_exchanges_total{amc="$amc",outcome="failed"}[1h])) / sum(increase(rpn_amc_exchanges_total{amc="$amc",outcome=~"answered|far-fault|failed"}[1h]))`).high(0.05, 0.2),
				number("Répond en (95 %)", "Dix-neuf appels sur vingt de la dernière heure ont reçu leur réponse en ce temps ou moins.", duration,
					`histogram_quantile(0.95, sum by (le) (rate(rpn_amc_seconds_bucket`+of+`[1h])))`).high(5, 10),
			}},
			{"Dans le temps", []Panel{
				lines("Issues", "Appels par seconde : answered (répondu), far-fault (son erreur), failed (échec), refused (refusé avant lui), abandoned.", perSecond,
					`sum by (outcome) (rate(rpn_amc_exchanges_total`+of+`[$__rate_interval]))`, "{{outcome}}").stacked(),
				quantiles("Temps de réponse", "De l'ouverture de la connexion au dernier octet de la réponse, échecs compris.", duration,
					`sum by (le) (rate(rpn_amc_seconds_bucket`+of+`[$__rate_interval]))`).high(5, 20),
			}},
			{"Tous les organismes", []Panel{
				lines("Part en échec par organisme", "Part des appels en échec sur 5 minutes ; à partir de 20 % et de 5 appels, l'organisme est dit indisponible.", ratio,
					`amc:failures_per_exchange:ratio_rate5m`, "{{amc}}").high(0.05, 0.2),
				lines("Signatures des réponses", "Réponses par seconde dont la signature a été vérifiée, par résultat : good, ou la raison du refus.", perSecond,
					`sum by (outcome) (rate(rpn_answer_checks_total[$__rate_interval]))`, "{{outcome}}"),
				lines("Réponses tardives ou inattendues", "Réponses arrivées dans la minute après leur délai, et octets reçus qui ne répondent à rien.", perSecond,
					`sum(rate(rpn_late_answers_total[$__rate_interval]))`, "tardives").with(Query{`sum(rate(rpn_unsolicited_answers_total[$__rate_interval]))`, "inattendues"}),
				lines("Adresses au repos", "Adresses d'organismes mises au repos après des échecs répétés, par instance.", plain, `rpn_amc_resting_addresses`, "{{instance}}").high(1, 5),
			}},
		},
	}
}

func directoryPage() Dashboard {
	return Dashboard{UID: "rpn-annuaire", Title: "RPN ROC : annuaire",
		Description: "Comment l'annuaire AMC répond, ce que le RPN en a gardé, et ce qui attend une décision.",
		Rows: []Row{
			{"L'annuaire", []Panel{
				number("Dernière réponse", "Quand l'annuaire a répondu pour la dernière fois.", instant, `max(rpn_annuaire_last_answer_timestamp_seconds) * 1000`),
				number("Réponses gardées", "Réponses en mémoire, fraîches ou non, sur l'instance qui en a le plus.", plain, `max(rpn_annuaire_keys)`),
				number("Changements retenus", "Changements de l'annuaire qui attendent une décision (rpn annuaire held).", plain, `sum(rpn_annuaire_held_keys)`).high(1, 10),
				number("Part servie de mémoire", "Part des recherches de la dernière heure pour lesquelles personne n'a attendu l'annuaire.", ratio,
					`sum(increase(rpn_annuaire_lookups_total{source="memory"}[1h])) / sum(increase(rpn_annuaire_lookups_total[1h]))`),
			}},
			{"Dans le temps", []Panel{
				lines("Questions à l'annuaire", "Par seconde et par issue : answered, unknown (organisme inconnu), silent, refused (réponse irrecevable), failed.", perSecond,
					`sum by (outcome) (rate(rpn_annuaire_asks_total[$__rate_interval]))`, "{{outcome}}").stacked(),
				lines("Attente de l'annuaire", "Temps qu'un échange a attendu l'annuaire : 95 % en moins que cela.", duration,
					`histogram_quantile(0.95, sum by (le) (rate(rpn_exchange_step_seconds_bucket{step="annuaire"}[$__rate_interval])))`, "95 %").high(1, 5),
				lines("Réponses vieillies et renouvelées", "Par seconde : recherches servies par une réponse qui n'était plus fraîche ; questions posées en arrière-plan.", perSecond,
					`sum(rate(rpn_annuaire_stale_total[$__rate_interval]))`, "vieillies").with(Query{`sum(rate(rpn_annuaire_renewals_total[$__rate_interval]))`, "renouvelées"}),
				lines("Réponses gardées ailleurs", "Par seconde, relues du disque ou de Redis : used, disbelieved (non crue), rolled-back (d'avant un changement), damaged (abîmée).", perSecond,
					`sum by (from, result) (rate(rpn_annuaire_kept_total[$__rate_interval]))`, "{{from}} {{result}}"),
				lines("Bornes atteintes", "Par seconde : réponses non stockées (part d'un établissement épuisée) ; questions retardées (annuaire.per_second).", perSecond,
					`sum(rate(rpn_annuaire_unstored_total[$__rate_interval]))`, "non stockées").with(Query{`sum(rate(rpn_annuaire_limited_total[$__rate_interval]))`, "retardées"}),
			}},
		},
	}
}

func certificatesPage() Dashboard {
	return Dashboard{UID: "rpn-certificats", Title: "RPN ROC : certificats et listes",
		Description: "Fins de certificats, listes de révocation, liste d'exclusion, connexions refusées ou fermées.",
		Rows: []Row{
			{"Fins", []Panel{
				listing("Premier certificat à finir, par nature", "Dans combien de temps finit le premier certificat de chaque nature, renouvelés exclus.", duration,
					`sort(min by (kind) (rpn_certificate_first_end_timestamp_seconds - time()))`).low(30*86400, 7*86400),
				listing("Certificats par échéance", "Certificats connus, par nature et par échéance : termine, 1j, 7j, 14j, 30j, 60j, ok.", plain, `max by (kind, level) (rpn_certificates)`),
				listing("Échanges qui en dépendent", "Échanges des dernières 24 h qui ont utilisé ces certificats : l'enjeu de chaque échéance.", plain, `max by (kind, level) (rpn_certificate_calls)`),
			}},
			{"Listes de révocation", []Panel{
				listing("Fin de chaque liste", "Dans combien de temps chaque liste en service aurait dû être remplacée (nextUpdate).", duration,
					`sort(min by (ca) (rpn_revocation_list_ends_timestamp_seconds - time()))`).low(86400, 0),
				listing("Âge de chaque liste", "Depuis quand chaque liste en service a été faite (thisUpdate).", duration, `max by (ca) (time() - rpn_revocation_list_issued_timestamp_seconds)`),
				listing("Certificats révoqués", "Entrées de chaque liste en service.", plain, `max by (ca) (rpn_revocation_list_entries)`),
				listing("Listes en service", "1 : la liste sert. 0 : elle est trop ancienne, la politique de cette autorité décide.", plain, `min by (ca) (rpn_revocation_list_serves)`).low(1, 0.5),
				lines("Points de distribution", "Points de distribution par état de la dernière tentative : good, failing, never.", plain, `max by (state) (rpn_revocation_sources)`, "{{state}}"),
				number("Liste confirmée il y a le plus longtemps", "Quand la liste la moins récemment confirmée l'a été.", instant, `min(rpn_revocation_oldest_confirmation_timestamp_seconds) * 1000`),
			}},
			{"Liste d'exclusion", []Panel{
				number("Numéro de la liste", "Numéro d'ordre de la liste d'exclusion en vigueur : le même partout.", plain, `min(rpn_deny_list_sequence)`),
				number("Exclus", "Entrées de la liste d'exclusion en vigueur.", plain, `max(rpn_deny_list_entries)`),
				number("Fichier accepté", "1 : le fichier est la liste en vigueur. 0 : il est refusé, la précédente reste.", plain, `min(rpn_deny_list_good)`).low(1, 0.5),
			}},
			{"Connexions", []Panel{
				lines("Connexions acceptées", "Connexions d'établissements acceptées par seconde, par version de TLS ; reprises : sessions reprises.", perSecond,
					`sum by (version, resumed) (rate(rpn_tls_handshakes_total[$__rate_interval]))`, "{{version}} reprise={{resumed}}").stacked(),
				lines("Connexions refusées", "Connexions refusées par seconde, par raison (docs/operating/certificates.md).", perSecond,
					`sum by (reason) (rate(rpn_tls_handshake_failures_total[$__rate_interval]))`, "{{reason}}").stacked(),
				lines("Connexions fermées", "Connexions fermées par seconde parce que leur pair n'est plus accepté, par côté et raison.", perSecond,
					`sum by (side, reason) (rate(rpn_connections_closed_total[$__rate_interval]))`, "{{side}} {{reason}}").stacked(),
			}},
		},
	}
}
