// Package roc holds the words of the dispositif ROC that every other package
// uses: identities, services, routing keys, refusals and the record of one
// exchange. It imports nothing of this module; every arrow of the import map
// ends here.
//
// Two strings that mean different things are two types, parsed once, where they
// come in (profile sections 4 and 7; docs/glossary.md binds French and
// English).
package roc
