package app

import "github.com/piano-roc/rpn/tlsconf"

// TellHorizon is what an hour that passes does.
func (a *App) TellHorizon(told map[string]tlsconf.Level) { a.tellHorizon(told) }
