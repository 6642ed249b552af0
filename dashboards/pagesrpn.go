package dashboards

import "strings"

func rpnPage() Dashboard {
	d := Dashboard{UID: "rpn-instances", Title: "RPN ROC : le RPN lui-même",
		Description: "Objectifs de service, temps ajouté, état des instances et de ce qu'elles vérifient.",
		Variables:   []Variable{{Name: "instance", Label: "Instance", Metric: "rpn_build_info", Value: "instance", Multi: true}},
		Rows: []Row{
			{"Objectifs", []Panel{
				number("Budget d'erreurs restant", "Part du budget d'erreurs de 3 jours qui reste (objectif 99,9 %).", ratio, `1 - rpn:erreurs_per_exchange:ratio_rate3d / 0.001`).low(0.5, 0.1),
				number("Budget de lenteur restant", "Part du budget de lenteur de 3 jours qui reste (objectif : 99 % des échanges avec au plus 50 ms ajoutés).", ratio, `1 - rpn:lenteurs_per_exchange:ratio_rate3d / 0.01`).low(0.5, 0.1),
				number("Instances vues", "Instances auxquelles Prometheus parle.", plain, `sum(up{job="rpn"})`).low(2, 1),
				number("Échanges en cours", "Échanges dont la réponse n'est pas encore écrite.", plain, `sum(rpn_exchanges_in_flight{HERE})`),
				lines("Part d'échecs du RPN", "Part des échanges qui échouent par la faute du RPN, sur trois durées.", ratio, `rpn:erreurs_per_exchange:ratio_rate5m`, "5 min").
					with(Query{`rpn:erreurs_per_exchange:ratio_rate1h`, "1 h"}, Query{`rpn:erreurs_per_exchange:ratio_rate1d`, "1 j"}).high(0.001, 0.0144),
				quantiles("Temps ajouté par le RPN", "Ce que le RPN a pris lui-même : sans l'annuaire, le DNS, l'organisme et l'appelant.", duration,
					`sum by (le) (rate(rpn_added_seconds_bucket{HERE}[$__rate_interval]))`).high(0.05, 0.25),
			}},
			{"Étapes et tailles", []Panel{
				lines("Durée des étapes (95 %)", "read (corps et enveloppe), check (signature), annuaire, connect (connexion à l'organisme), amc (attente de l'organisme), total.", duration,
					`histogram_quantile(0.95, sum by (step, le) (rate(rpn_exchange_step_seconds_bucket{HERE}[$__rate_interval])))`, "{{step}}"),
				quantiles("Taille des demandes", "Taille des messages reçus.", size, `sum by (le) (rate(rpn_request_bytes_bucket{HERE}[$__rate_interval]))`),
				quantiles("Taille des réponses", "Taille des réponses rendues, refus compris.", size, `sum by (le) (rate(rpn_answer_bytes_bucket{HERE}[$__rate_interval]))`),
			}},
			{"Ce qui est vérifié", []Panel{
				lines("Seconds avis", "Signatures vérifiées une seconde fois par d'autres bibliothèques, par seconde : agrees, disagrees (alarme), cannot.", perSecond,
					`sum by (result) (rate(rpn_second_opinions_total{HERE}[$__rate_interval]))`, "{{result}}"),
				lines("VIHF", "VIHF des messages acceptés, par seconde et par résultat.", perSecond, `sum by (outcome) (rate(rpn_vihf_total{HERE}[$__rate_interval]))`, "{{outcome}}"),
				lines("Messages revenus", "Messages signés reçus une seconde fois, et oubliés avant la fin de leur vie, par seconde.", perSecond, `sum(rate(rpn_replays_total{HERE}[$__rate_interval]))`, "revenus").
					with(Query{`sum(rate(rpn_replays_forgotten_total{HERE}[$__rate_interval]))`, "oubliés"}),
				quantiles("Écart des horloges", "Écart entre l'horloge des signataires et la nôtre ; qui, est à /horloges.", duration, `sum by (le) (rate(rpn_clock_offset_seconds_bucket{HERE}[$__rate_interval]))`).high(60, 300),
				lines("Requêtes mal formées", "Requêtes refusées pour leur HTTP, par seconde et par règle.", perSecond, `sum by (rule) (rate(rpn_malformed_requests_total{HERE}[$__rate_interval]))`, "{{rule}}"),
				lines("Descriptions servies", "Descriptions WSDL et XSD servies par seconde ; ce ne sont pas des échanges.", perSecond, `sum(rate(rpn_descriptions_total{HERE}[$__rate_interval]))`, "descriptions"),
				listing("Vérification RSA", "Comment chaque instance vérifie RSA, et le résultat de son autotest.", plain, `max by (instance, way, self_test) (rpn_rsa_verify_info{HERE})`),
			}},
			{"Instances", []Panel{
				listing("Versions", "Ce qui tourne.", plain, `max by (instance, version, revision, goversion) (rpn_build_info{HERE})`),
				listing("Dernier chargement", "Depuis combien de temps chaque partie a été chargée avec succès.", duration, `max by (instance, what) (time() - rpn_reload_last_success_timestamp_seconds{HERE})`),
				listing("Chargement réussi", "1 : la dernière tentative a réussi. 0 : l'état précédent reste en service.", plain, `min by (instance, what) (rpn_reload_last_successful{HERE})`).low(1, 0.5),
				lines("Chargements", "Chargements tentés par seconde, par partie et résultat.", perSecond, `sum by (what, result) (rate(rpn_reloads_total{HERE}[$__rate_interval]))`, "{{what}} {{result}}"),
				lines("Lignes de journal technique perdues", "Lignes perdues par seconde parce que leur lecteur s'est arrêté.", perSecond, `sum by (instance) (rate(rpn_log_dropped_lines_total{HERE}[$__rate_interval]))`, "{{instance}}").high(0.01, 1),
				lines("Fournisseur d'identités en échec", "Questions du portail au fournisseur d'identités (OpenID Connect) restées sans bonne réponse, par seconde ; les certificats, eux, permettent d'entrer.", perSecond,
					`sum by (instance) (rate(rpn_portal_provider_failures_total{HERE}[$__rate_interval]))`, "{{instance}}").high(0.01, 0.1),
				lines("Mémoire", "Mémoire résidente de chaque instance.", size, `process_resident_memory_bytes{HERE}`, "{{instance}}"),
				lines("Processeur", "Processeurs utilisés par chaque instance.", plain, `rate(process_cpu_seconds_total{HERE}[$__rate_interval])`, "{{instance}}"),
				lines("Goroutines et descripteurs", "Goroutines et fichiers ouverts de chaque instance.", plain, `go_goroutines{HERE}`, "{{instance}} goroutines").with(Query{`process_open_fds{HERE}`, "{{instance}} descripteurs"}),
			}},
		},
	}
	for _, r := range d.Rows {
		for i := range r.Panels {
			for j := range r.Panels[i].Queries {
				q := &r.Panels[i].Queries[j]
				q.Expr = strings.ReplaceAll(q.Expr, "{HERE}", `{instance=~"$instance"}`)
			}
		}
	}
	return d
}

func limitsPage() Dashboard {
	return Dashboard{UID: "rpn-limites", Title: "RPN ROC : limites et équité",
		Description: "Ce qui est pris, ce qui est refusé faute de place, et à qui.",
		Rows: []Row{
			{"Place", []Panel{
				lines("Part prise", "Part prise des connexions, des échanges en cours et de la mémoire, par instance. À partir de 75 %, seuls les petits appelants sont servis.", ratio,
					`rpn_capacity_ratio`, "{{instance}} {{what}}").high(0.5, 0.75),
				lines("Délestage", "Part des messages refusés faute de processeur, les moins importants d'abord.", ratio, `rpn_shed_ratio`, "{{instance}}").high(0.01, 0.2),
				lines("Connexions ouvertes", "Connexions ouvertes, du côté des établissements et du côté des organismes.", plain, `sum by (side) (rpn_connections_open)`, "{{side}}"),
				lines("Connexions fermées sans un mot", "Connexions fermées par seconde sans réponse : leur structure en avait trop, ou toutes étaient prises.", perSecond,
					`sum by (instance) (rate(rpn_connections_turned_away_total[$__rate_interval]))`, "{{instance}}"),
			}},
			{"Refus", []Panel{
				lines("Refus de débit et de place", "Refus par seconde : RPN110 (un établissement envoie trop), RPN111 (le RPN ou un organisme n'a plus de place).", perSecond,
					`sum by (code) (rate(rpn_exchanges_total{code=~"RPN110|RPN111"}[$__rate_interval]))`, "{{code}}").stacked(),
				lines("Pourquoi", "Les mêmes refus, par cause.", perSecond,
					`sum by (cause) (rate(rpn_causes_total{cause=~"rate-exceeded|too-many-connections|share-of-.*|amc-busy|amc-rate|load-shed|exchanges-full|listener-full|no-room-for-answer|out-of-resources"}[$__rate_interval]))`, "{{cause}}"),
				lines("Au-delà de la limite, mais passés", "Messages par seconde qui passent bien qu'ils dépassent la limite de leur établissement (limits.mode: observe), par cause.", perSecond,
					`sum by (cause) (rate(rpn_over_limit_total[$__rate_interval]))`, "{{cause}}"),
				listing("Établissements limités", "Les vingt établissements les plus souvent refusés pour débit (RPN110) dans la dernière heure.", plain,
					`topk(20, sum by (structure, nom) ((increase(rpn_etablissement_limited_total[1h]) > 0) * on (structure) group_left (nom) max by (structure, nom) (rpn_etablissement_info)))`),
			}},
			{"Organismes et partage", []Panel{
				number("Adresses au repos", "Adresses d'organismes au repos après des échecs répétés.", plain, `max(rpn_amc_resting_addresses)`).high(1, 5),
				number("Au repos depuis", "Depuis quand se repose l'adresse qui l'est depuis le plus longtemps.", instant, `min(rpn_amc_rest_since_timestamp_seconds) * 1000`),
				number("Redis répond", "1 : Redis répond à toutes les instances.", plain, `min(rpn_redis_up)`).low(1, 0.5),
				number("Limites partagées", "1 : les limites valent sur toutes les instances ensemble. 0 : chaque instance donne sa part.", plain, `min(rpn_limits_shared)`).low(1, 0.5),
			}},
		},
	}
}

func journalPage() Dashboard {
	return Dashboard{UID: "rpn-journal", Title: "RPN ROC : journal, indicateurs, courriels",
		Description: "La trace scellée de chaque échange, les indicateurs qui en sont comptés, et les courriels qui en partent.",
		Rows: []Row{
			{"Le journal", []Panel{
				number("Place restante", "Enregistrements qui trouveront certainement place, sur l'instance qui en a le moins.", plain, `min(rpn_journal_room_records)`).low(1e6, 1e5),
				number("Dernier sceau", "Quand le dernier point de contrôle a été signé, sur l'instance la plus en retard.", instant, `min(rpn_journal_last_seal_timestamp_seconds) * 1000`),
				number("Enregistrements abîmés", "Enregistrements trouvés abîmés depuis le démarrage (rpn journal verify).", plain, `sum(rpn_journal_damaged_records)`).high(1, 1),
				number("Taille du journal", "Taille des segments fermés.", size, `sum(rpn_journal_closed_bytes)`),
				lines("Enregistrements écrits", "Enregistrements par seconde, par instance.", perSecond, `sum by (instance) (rate(rpn_journal_records_total[$__rate_interval]))`, "{{instance}}"),
				lines("En attente de sceau", "Enregistrements qu'aucun point de contrôle signé ne couvre encore.", plain, `rpn_journal_unsealed_records`, "{{instance}}"),
				lines("Segments", "Segments fermés, ou pleins qui attendent d'être fermés.", plain, `sum by (instance, state) (rpn_journal_segments)`, "{{instance}} {{state}}"),
				lines("Écarts", "Échanges sans enregistrement par seconde : not-recorded (transmis), turned-away (refusés), not-amended (non complétés).", perSecond,
					`sum by (gap) (rate(rpn_journal_gaps_total[$__rate_interval]))`, "{{gap}}").high(0.001, 0.1),
				lines("Erreurs du journal", "Erreurs par seconde et par étape : write, sync, seal, close, room, read.", perSecond, `sum by (step) (rate(rpn_journal_errors_total[$__rate_interval]))`, "{{step}}").high(0.001, 0.1),
			}},
			{"Confirmé par d'autres", []Panel{
				listing("Dernière confirmation", "Depuis combien de temps un point de contrôle a été confirmé : timestamp (autorité d'horodatage) ou witnesses (témoins).", duration,
					`max by (instance, by) (time() - rpn_journal_confirmed_timestamp_seconds)`).high(6*3600, 86400),
				lines("Confirmations en échec", "Confirmations qui n'ont pas abouti, par seconde ; elles sont tentées de nouveau.", perSecond,
					`sum by (by) (rate(rpn_journal_confirm_failures_total[$__rate_interval]))`, "{{by}}").high(0.001, 0.1),
			}},
			{"Indicateurs", []Panel{
				lines("Retard des indicateurs", "Depuis combien de temps, au plus, un enregistrement attend d'être compté.", duration, `rpn_indicators_lag_seconds`, "{{instance}}").high(60, 600),
				lines("Enregistrements à compter", "Enregistrements du journal qui ne sont encore dans aucun indicateur.", plain, `rpn_indicators_behind_records`, "{{instance}}"),
				lines("Échecs", "Mises à jour des indicateurs qui ont échoué, par seconde.", perSecond, `sum by (instance) (rate(rpn_indicators_failures_total[$__rate_interval]))`, "{{instance}}").high(0.001, 0.1),
			}},
			{"Courriels", []Panel{
				lines("Courriels non remis", "Courriels de la boîte d'envoi : waiting (en attente), doubted (on ne sait pas), undelivered (refusés ou trop tard).", plain,
					`max by (state) (rpn_mail_letters)`, "{{state}}"),
				number("Plus ancien en attente", "Depuis quand attend le courriel le plus ancien.", instant, `min(rpn_mail_oldest_timestamp_seconds) * 1000`),
			}},
		},
	}
}
