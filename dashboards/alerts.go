package dashboards

import "time"

// Alerts lists the alerts, by part.
func Alerts() []Alert {
	var all []Alert
	for _, of := range [][]Alert{rpnAlerts(), insurerAlerts(), directoryAlerts(), certificateAlerts(), limitAlerts(), journalAlerts()} {
		all = append(all, of...)
	}
	return all
}

func rpnAlerts() []Alert {
	availability, latency := Objectives()[0], Objectives()[1]
	return []Alert{
		{"RPNAbsent", OwnPath, Page, 2 * time.Minute,
			`up{job="rpn"} == 0 or absent(up{job="rpn"})`,
			`{{ with $labels.instance }}L'instance {{ . }} du RPN ne répond plus à Prometheus.{{ else }}Prometheus ne connaît aucune instance du RPN.{{ end }}`},
		{"DisponibiliteRapide", OwnPath, Page, 2 * time.Minute, availability.burns(fast),
			`Le RPN échoue par sa faute pour {{ $value | humanizePercentage }} des échanges : le budget d'erreurs du mois s'épuise en heures.`},
		{"DisponibiliteLente", OwnPath, Ticket, time.Hour, availability.burns(slow),
			`Le RPN échoue par sa faute pour {{ $value | humanizePercentage }} des échanges : le budget d'erreurs du mois ne tiendra pas.`},
		{"LatenceRapide", OwnPath, Page, 2 * time.Minute, latency.burns(fast),
			`Le RPN ajoute plus de 50 ms à {{ $value | humanizePercentage }} des échanges.`},
		{"LatenceLente", OwnPath, Ticket, time.Hour, latency.burns(slow),
			`Le RPN ajoute plus de 50 ms à {{ $value | humanizePercentage }} des échanges, depuis longtemps.`},
		{"ErreursInternes", OwnPath, Ticket, 0,
			`sum by (instance) (increase(rpn_exchanges_total{code="RPN500"}[15m])) > 0`,
			`L'instance {{ $labels.instance }} a répondu RPN500 {{ $value | printf "%.0f" }} fois en 15 min.`},
		{"RedemarragesRepetes", OwnPath, Ticket, 0,
			`changes(process_start_time_seconds[1h]) > 2`,
			`L'instance {{ $labels.instance }} a redémarré {{ $value }} fois en une heure.`},
		{"SecondAvisEnDesaccord", OwnPath, Page, 0,
			`sum by (instance) (increase(rpn_second_opinions_total{result="disagrees"}[1h])) > 0`,
			`Deux vérifications d'une même signature ne sont pas d'accord sur {{ $labels.instance }}.`},
		{"RechargementEnEchec", OwnPath, Ticket, 10 * time.Minute,
			`rpn_reload_last_successful == 0`,
			`{{ $labels.instance }} n'a pas pu relire {{ $labels.what }} : l'état précédent reste en service.`},
		{"LignesDeLogPerdues", OwnPath, Ticket, 0,
			`increase(rpn_log_dropped_lines_total[10m]) > 0`,
			`{{ $labels.instance }} perd des lignes de son journal technique : son lecteur ne lit plus.`},
		{"RedisAbsent", OwnPath, Ticket, 5 * time.Minute,
			`rpn_redis_up == 0`,
			`Redis ne répond plus à {{ $labels.instance }}, qui continue seule.`},
		{"HorlogeDouteuse", OwnPath, Ticket, 15 * time.Minute,
			`histogram_quantile(0.5, sum by (instance, le) (rate(rpn_clock_offset_seconds_bucket[1h]))) > 30`,
			`La moitié des signataires sont à plus de 30 s de l'horloge de {{ $labels.instance }} : c'est sans doute elle qui a tort.`},
	}
}

func insurerAlerts() []Alert {
	return []Alert{
		{"AMCEnEchec", Insurers, Ticket, 5 * time.Minute,
			`(` + amcFails + ` >= 0.2 and ` + amcCalls + ` >= 5)` + withAMCName,
			`{{ $labels.nom }} ({{ $labels.amc }}) échoue pour {{ $value | humanizePercentage }} des appels depuis 5 min.`},
		{"PlusieursAMCEnEchec", Insurers, Page, 5 * time.Minute,
			`count(` + amcFails + ` >= 0.2 and ` + amcCalls + ` >= 5) >= 3`,
			`{{ $value }} organismes échouent en même temps : cherchez d'abord de notre côté (réseau, DNS, certificat client).`},
		{"AMCLente", Insurers, Ticket, 10 * time.Minute,
			`(histogram_quantile(0.95, sum by (amc, le) (rate(rpn_amc_seconds_bucket{amc!~"aucune|autre"}[15m]))) > 10 and on (amc) ` + amcCalls + ` >= 5)` + withAMCName,
			`{{ $labels.nom }} ({{ $labels.amc }}) répond en {{ $value | humanizeDuration }} ou plus pour un appel sur vingt.`},
		{"AMCAuRepos", Insurers, Ticket, 0,
			`time() - rpn_amc_rest_since_timestamp_seconds > 900`,
			`Une adresse d'organisme est au repos depuis {{ $value | humanizeDuration }} sur {{ $labels.instance }}.`},
		{"SignaturesDeReponses", Insurers, Ticket, 0,
			`sum by (outcome) (increase(rpn_answer_checks_total{outcome!="good"}[15m])) > 5`,
			`{{ $value | printf "%.0f" }} réponses d'organismes ont une signature refusée ({{ $labels.outcome }}) en 15 min.`},
	}
}

func directoryAlerts() []Alert {
	return []Alert{
		{"AnnuaireMuet", Directory, Page, 5 * time.Minute,
			`sum by (instance) (increase(rpn_annuaire_asks_total{outcome=~"silent|failed"}[10m])) > 0` +
				"\nunless\n" + `sum by (instance) (increase(rpn_annuaire_asks_total{outcome=~"answered|unknown"}[10m])) > 0`,
			`L'annuaire ne répond plus à {{ $labels.instance }} : seules les réponses gardées servent.`},
		{"AnnuaireReponsesRefusees", Directory, Ticket, 0,
			`sum by (instance) (increase(rpn_annuaire_asks_total{outcome="refused"}[15m])) > 0`,
			`{{ $labels.instance }} refuse des réponses de l'annuaire (signature, date ou contenu).`},
		{"AnnuaireVieilli", Directory, Ticket, 0,
			`increase(rpn_annuaire_stale_total[30m]) > 0 and on (instance) time() - rpn_annuaire_last_answer_timestamp_seconds > 3600`,
			`Des messages partent de {{ $labels.instance }} selon des réponses vieillies : l'annuaire n'a rien dit depuis plus d'une heure.`},
		{"AnnuaireChangementsRetenus", Directory, Ticket, 5 * time.Minute,
			`rpn_annuaire_held_keys > 0`,
			`{{ $value }} changements de l'annuaire attendent une décision sur {{ $labels.instance }}.`},
		{"AnnuaireReponsesAlterees", Directory, Ticket, 0,
			`sum by (instance, from, result) (increase(rpn_annuaire_kept_total{result=~"disbelieved|rolled-back|damaged"}[1h])) > 0`,
			`Des réponses gardées de l'annuaire ont été altérées ({{ $labels.from }}, {{ $labels.result }}) ; {{ $labels.instance }} ne les croit pas.`},
	}
}

func certificateAlerts() []Alert {
	const left = `rpn_certificate_first_end_timestamp_seconds{kind=~"rpn-.*"} - time()`
	return []Alert{
		{"ListePresDeSaFin", Certificates, Ticket, 10 * time.Minute,
			`min by (ca) ((rpn_revocation_list_ends_timestamp_seconds - time()) / (rpn_revocation_list_ends_timestamp_seconds - rpn_revocation_list_issued_timestamp_seconds)) < 0.25`,
			`La liste de révocation de {{ $labels.ca }} approche de sa fin et n'est pas remplacée.`},
		{"ListeEchue", Certificates, Page, 0,
			`min by (ca) (rpn_revocation_list_ends_timestamp_seconds) < time()`,
			`La liste de révocation de {{ $labels.ca }} est échue : elle sert encore par grâce.`},
		{"ListeHorsService", Certificates, Page, 0,
			`min by (ca) (rpn_revocation_list_serves) == 0`,
			`La liste de révocation de {{ $labels.ca }} est trop ancienne : la politique de cette autorité décide, ouvert ou fermé.`},
		{"ListeNonObtenue", Certificates, Ticket, time.Hour,
			`sum by (instance, state) (rpn_revocation_sources{state=~"failing|never"}) > 0`,
			`{{ $value }} points de distribution de listes de révocation ne donnent rien à {{ $labels.instance }} ({{ $labels.state }}).`},
		{"ExclusionRefusee", Certificates, Page, 5 * time.Minute,
			`rpn_deny_list_good == 0`,
			`La nouvelle liste d'exclusion est refusée par {{ $labels.instance }} : la précédente reste en vigueur.`},
		{"CertificatDuRPNBientot", Certificates, Ticket, 0,
			`min by (kind) (` + left + `) < 30 * 86400 and min by (kind) (` + left + `) >= 7 * 86400`,
			`Le certificat {{ $labels.kind }} finit dans {{ $value | humanizeDuration }}.`},
		{"CertificatDuRPNUrgent", Certificates, Page, 0,
			`min by (kind) (` + left + `) < 7 * 86400 or max by (kind) (rpn_certificates{kind=~"rpn-.*",level="termine"}) > 0`,
			`Le certificat {{ $labels.kind }} finit dans moins de 7 jours, ou a fini.`},
		{"AutoriteBientot", Certificates, Ticket, 0,
			`min(rpn_certificate_first_end_timestamp_seconds{kind="autorite"} - time()) < 180 * 86400`,
			`Une autorité de confiance finit dans {{ $value | humanizeDuration }}.`},
		{"CertificatsDeTiersBientot", Certificates, Ticket, time.Hour,
			`max by (kind) (rpn_certificate_calls{kind=~"etablissement-.*|amc-.*",level=~"1j|7j"}) > 0`,
			`Des certificats {{ $labels.kind }} en service finissent dans les 7 jours : {{ $value }} échanges des dernières 24 h en dépendent.`},
		{"ConnexionsRefusees", Certificates, Ticket, 15 * time.Minute,
			`sum by (instance) (rate(rpn_tls_handshake_failures_total[15m])) / (sum by (instance) (rate(rpn_tls_handshake_failures_total[15m])) + sum by (instance) (rate(rpn_tls_handshakes_total[15m]))) > 0.5` +
				"\nand\n" + `sum by (instance) (increase(rpn_tls_handshake_failures_total[15m])) > 50`,
			`{{ $value | humanizePercentage }} des connexions à {{ $labels.instance }} échouent avant tout échange.`},
	}
}

func limitAlerts() []Alert {
	return []Alert{
		{"Saturation", Limits, Page, 5 * time.Minute,
			`rpn_capacity_ratio > 0.75`,
			`{{ $labels.instance }} est saturée ({{ $labels.what }} : {{ $value | humanizePercentage }}) : seuls les petits appelants sont servis.`},
		{"Delestage", Limits, Page, 5 * time.Minute,
			`rpn_shed_ratio > 0`,
			`{{ $labels.instance }} refuse {{ $value | humanizePercentage }} des messages, faute de processeur.`},
		{"ConnexionsSansReponse", Limits, Ticket, 0,
			`increase(rpn_connections_turned_away_total[15m]) > 100`,
			`{{ $labels.instance }} a fermé {{ $value | printf "%.0f" }} connexions sans un mot en 15 min.`},
	}
}

func journalAlerts() []Alert {
	const hours = `rpn_journal_room_records / clamp_min(rate(rpn_journal_records_total[1h]), 1) / 3600`
	return []Alert{
		{"JournalBientotPlein", Journal, Ticket, 10 * time.Minute,
			hours + ` < 72 and ` + hours + ` >= 4`,
			`Le journal de {{ $labels.instance }} sera plein dans {{ $value | printf "%.0f" }} heures au rythme actuel.`},
		{"JournalPlein", Journal, Page, 5 * time.Minute,
			hours + ` < 4`,
			`Le journal de {{ $labels.instance }} n'a plus de place que pour {{ $value | printf "%.1f" }} heures : après, les échanges sont refusés.`},
		{"JournalEcarts", Journal, Page, 0,
			`sum by (instance, gap) (increase(rpn_journal_gaps_total[15m])) > 0`,
			`Des échanges n'ont pas de trace dans le journal de {{ $labels.instance }} ({{ $labels.gap }}).`},
		{"JournalSceauEnRetard", Journal, Ticket, 5 * time.Minute,
			`rpn_journal_unsealed_records > 0 and on (instance) time() - rpn_journal_last_seal_timestamp_seconds > 300`,
			`{{ $value }} enregistrements de {{ $labels.instance }} attendent leur sceau depuis plus de 5 min.`},
		{"JournalErreurs", Journal, Ticket, 0,
			`sum by (instance, step) (increase(rpn_journal_errors_total[15m])) > 0`,
			`Le journal de {{ $labels.instance }} échoue à l'étape {{ $labels.step }}.`},
		{"JournalNonConfirme", Journal, Ticket, 0,
			`max by (by) (time() - rpn_journal_confirmed_timestamp_seconds) > 86400`,
			`Aucun point de contrôle du journal n'a été confirmé depuis {{ $value | humanizeDuration }} ({{ $labels.by }}).`},
		{"JournalAbime", Journal, Page, 0,
			`rpn_journal_damaged_records > 0`,
			`{{ $value }} enregistrements du journal de {{ $labels.instance }} sont abîmés.`},
		{"IndicateursEnRetard", Journal, Ticket, 10 * time.Minute,
			`rpn_indicators_lag_seconds > 600`,
			`Les indicateurs de {{ $labels.instance }} ont {{ $value | humanizeDuration }} de retard.`},
		{"CourrierBloque", Journal, Ticket, 0,
			`max(time() - rpn_mail_oldest_timestamp_seconds) > 6 * 3600`,
			`Un courriel attend depuis {{ $value | humanizeDuration }} dans la boîte d'envoi.`},
		{"CourrierNonRemis", Journal, Info, 0,
			`max by (state) (rpn_mail_letters{state=~"undelivered|doubted"}) > 0`,
			`{{ $value }} courriels n'ont pas été remis, ou on ne sait pas s'ils l'ont été ({{ $labels.state }}).`},
	}
}
