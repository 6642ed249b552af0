package app

import "github.com/piano-roc/rpn/tlsconf/expiry"

// LogExpiries is what an hour that passes does.
func (a *App) LogExpiries(told map[string]expiry.Level) { a.logExpiries(told) }
