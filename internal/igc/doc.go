// Package igc makes a throw-away PKI shaped like the real ones: IGC-Santé for
// establishments, IGC OSI for the annuaire and the AMC (domain 4).
//
// Four roots that never meet: one for each side and each use, TLS and
// signature. Every CA is called TEST and FICTIVE, so that nothing here can be
// mistaken for the real PKI, and a production configuration can refuse it.
//
//	pki := igc.New(igc.Options{})
//	auth, sign := pki.Establishment("1010000008", "CH DES TROIS TILLEULS")
//	rpn := pki.Server(igc.EtablissementTLS, "localhost")
//	amc := pki.Server(igc.AMCTLS, "amc-miroir.test")
//	stamp := pki.AMCSigner("2000000018", "MUTUELLE DU MIROIR")
//
// Options make the bad ones by name: igc.Expired(), igc.WrongEKU(),
// igc.OtherCA(), igc.CN("a;b")...
//
// It serves the demonstration and the tests, so whatever can only fail by a
// programming error panics. Never trust its CAs anywhere else.
package igc
