package login

import (
	"context"
	"errors"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// skew is by how much the clock of the provider may be ahead.
const skew = time.Minute

// Logout ends the sessions that a logout token of the provider names (OpenID
// Connect Back-Channel Logout 1.0, section 2.6). An error: it ended none.
func (l *Login) Logout(ctx context.Context, raw string) error {
	ended, err := l.logout(ctx, raw)
	if err != nil {
		l.o.Log.Warn("a logout token was refused", "event", "portal_logout_refused", "error", cutText(err.Error()))
		return err
	}
	if ended == 0 {
		l.o.Log.Info("a logout token names no session here", "event", "portal_logout_unknown")
	}
	return nil
}

func (l *Login) logout(ctx context.Context, raw string) (ended int, err error) {
	if raw == "" || len(raw) > maxTokenBytes {
		return 0, errors.New("there is no logout token, or it is too long")
	}
	var token *oidc.LogoutToken
	err = l.ask(ctx, l.ending, func(ctx context.Context) error {
		m, err := l.provider.get(ctx)
		if err != nil {
			return l.unavailable(brief(err))
		}
		token, err = m.verifier.VerifyLogout(ctx, raw) // signature, issuer, audience, end, event, no nonce, a jti, whom
		return err
	})
	if err != nil {
		return 0, err
	}
	now := l.o.Now()
	switch {
	case token.IssuedAt.Unix() <= 0 || token.IssuedAt.After(now.Add(skew)) || now.Sub(token.IssuedAt) > keepJTI-skew:
		return 0, errors.New("the logout token is too old, or of the future")
	case len(token.TokenID) > 255:
		return 0, errors.New("the jti of the logout token is too long")
	}
	if err := l.first(token.TokenID, now); err != nil {
		return 0, err
	}
	person := ""
	if token.Subject != "" {
		person = l.o.Book.Person(l.o.Issuer, token.Subject)
	}
	return l.endAll(person, token.SessionID), nil
}

// first reports, by no error, that a logout token has not come before.
func (l *Login) first(jti string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, came := l.jti[jti]; came {
		return errors.New("the logout token has come before")
	}
	for other, at := range l.jti {
		if now.Sub(at) >= keepJTI {
			delete(l.jti, other)
		}
	}
	if len(l.jti) >= maxJTI {
		return &Problem{Cause: errors.New("too many logout tokens"), Later: true}
	}
	l.jti[jti] = now
	return nil
}
