// Package upgrade is the drill of a restart without loss: exchanges at a steady
// rate from connections that are kept, three upgrades, then a kill -9. It prints
// its figures last and fails when short:
//
//	make drill-upgrade
//
// Without -full it plays a few seconds of it, at a lower rate.
package upgrade
