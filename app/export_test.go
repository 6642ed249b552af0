package app

import "github.com/piano-roc/rpn/tlsconf/expiry"

// TellHorizon is what an hour that passes does.
func (a *App) TellHorizon(told map[string]expiry.Level) { a.tellHorizon(told) }
