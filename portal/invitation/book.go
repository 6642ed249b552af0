package invitation

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/portal/acts"
)

// Options are what a Book needs. Every field is required.
type Options struct {
	File    string // of the acts
	KeyFile string // of the key of links and pseudonyms; made when it is not there

	Life   time.Duration // of a link that nobody uses
	Access time.Duration // of who used one

	Log *slog.Logger
	Now func() time.Time
}

// A Book is every invitation. Safe for concurrent use, by one process: its folder is
// locked by whoever opens it.
type Book struct {
	o    Options
	key  []byte
	file acts.File[act]

	mu     sync.Mutex // guards the rest
	all    map[string]*Invitation
	closed bool
}

// An act is one line of the file.
type act struct {
	V   int       `json:"v"`
	At  time.Time `json:"at"`
	Act string    `json:"act"` // made, used, revoked
	ID  string    `json:"id"`
	By  string    `json:"by,omitzero"`

	Party *Party    `json:"party,omitzero"`
	Label string    `json:"label,omitzero"`
	Ends  time.Time `json:"ends,omitzero"`

	Person string    `json:"person,omitzero"`
	Until  time.Time `json:"until,omitzero"`
}

const (
	made    = "made"
	used    = "used"
	revoked = "revoked"
)

// Open reads the book. One that cannot be read lets nobody in by an invitation, and
// makes none: the error says why, and the Book is there all the same.
func Open(o Options) (*Book, error) {
	b := &Book{o: o, all: map[string]*Invitation{}}
	b.file = acts.File[act]{Name: o.File, Of: "invitations", Cut: func(line int) {
		o.Log.Error("a line of the invitations was cut while it was written: that act was not done, and is skipped", "event", "portal_invitation_cut", "file", o.File, "line", line)
	}}
	var err error
	if _, missing := os.Stat(o.KeyFile); errors.Is(missing, fs.ErrNotExist) {
		if _, err := os.Stat(o.File); err == nil { // a new key would end every access, without a word
			b.closeUnread()
			return b, fmt.Errorf("%s is missing, and the accesses of %s are by it: put it back, or move that file away to begin with none", o.KeyFile, o.File)
		}
	}
	if b.key, err = readKey(o.KeyFile); err == nil {
		err = b.read()
	}
	if err != nil {
		b.closeUnread()
		return b, err
	}
	return b, nil
}

func (b *Book) closeUnread() {
	b.closed, b.key, b.all = true, make([]byte, keySize), map[string]*Invitation{}
	rand.Read(b.key) // pseudonyms of the log, until the next start
}

const keySize = 32

func readKey(file string) ([]byte, error) {
	key, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, keySize)
		rand.Read(key)
		return key, durable.WriteFile(file, key, 0o600)
	}
	if err == nil && len(key) != keySize {
		err = fmt.Errorf("%s does not hold a key of %d bytes", file, keySize)
	}
	return key, err
}

// read reads the acts. Those about invitations that have long been over are then
// left out of the file.
func (b *Book) read() error {
	read, err := b.file.Read(func(a *act) bool { return a.whole() && b.apply(a) })
	if err != nil {
		return err
	}
	now := b.o.Now()
	for id, i := range b.all {
		if over := i.over(now); !over.IsZero() && now.Sub(over) > keepOver {
			delete(b.all, id)
		}
	}
	return b.file.Keep(read, func(a *act) bool { return b.all[a.ID] != nil })
}

// whole reports whether an act that was read says all that one of its kind does.
func (a *act) whole() bool {
	switch {
	case a.V != 1, a.At.IsZero():
		return false
	case a.Act == made:
		return !a.Ends.IsZero()
	case a.Act == used:
		return a.Person != "" && !a.Until.IsZero()
	}
	return true
}

// apply does an act in memory, and reports whether it can be done.
func (b *Book) apply(a *act) bool {
	i := b.all[a.ID]
	switch {
	case a.Act == made && i == nil && a.Party != nil && a.ID != "":
		b.all[a.ID] = &Invitation{ID: a.ID, Party: *a.Party, Label: a.Label, By: a.By, Made: a.At, Ends: a.Ends}
		return true
	case i == nil:
		return false
	}
	changed := *i
	switch a.Act {
	case used:
		changed.Person, changed.Used, changed.Until = a.Person, a.At, a.Until
	case revoked:
		changed.Revoked, changed.RevokedBy = a.At, a.By
	default:
		return false
	}
	b.all[a.ID] = &changed
	return true
}

// do writes an act down, then does it, and logs it: the one place where an invitation
// changes.
func (b *Book) do(a act) (*Invitation, error) {
	a.V, a.At = 1, b.o.Now().UTC()
	if err := b.file.Append(&a); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrClosed, err)
	}
	b.apply(&a)
	i := b.all[a.ID]
	who := slog.String("who", a.By)
	if a.Act == used {
		who = slog.String("person", i.Person)
	}
	b.o.Log.Info("an invitation of the portal is "+a.Act, "event", "portal_invitation", "act", a.Act, "invitation", i.ID, "party", i.Party.String(), who)
	return i, nil
}

// Close ends the writing: another process may have the folder.
func (b *Book) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// Make makes an invitation, and its link: the only time that it is told.
func (b *Book) Make(party Party, label, by string) (Invitation, string, error) {
	if err := checkText(label, by); err != nil {
		return Invitation{}, "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return Invitation{}, "", ErrClosed
	}
	now := b.o.Now().UTC()
	live, ofParty, today := 0, 0, 0
	for _, i := range b.all {
		if i.over(now).IsZero() {
			live++
			if i.Party == party {
				ofParty++
			}
		}
		if i.Party == party && now.Sub(i.Made) < 24*time.Hour {
			today++
		}
	}
	if live >= maxLive || ofParty >= maxOfParty || today >= maxPerDay {
		return Invitation{}, "", ErrTooMany
	}
	var id [idSize]byte
	rand.Read(id[:])
	a := act{Act: made, ID: hex.EncodeToString(id[:]), By: by, Party: &party, Label: label, Ends: now.Add(b.o.Life).Truncate(time.Second)}
	i, err := b.do(a)
	if err != nil {
		return Invitation{}, "", err
	}
	return *i, b.link(i), nil
}

const idSize = 16

// link is what the link of an invitation bears: its id, and a signature over all
// that it grants.
func (b *Book) link(i *Invitation) string {
	id, _ := hex.DecodeString(i.ID)
	m := hmac.New(sha256.New, b.key)
	fmt.Fprintf(m, "rpn invitation 1\n%s\n%s\n", i.ID, i.Party)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(i.Ends.Unix())))
	return base64.RawURLEncoding.EncodeToString(m.Sum(id))
}

// Check says which invitation a link is of, where it may be used now.
func (b *Book) Check(link string) (Invitation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, err := b.check(link)
	if err != nil {
		return Invitation{}, err
	}
	return *i, nil
}

func (b *Book) check(link string) (*Invitation, error) {
	if b.closed {
		return nil, ErrClosed
	}
	raw, err := base64.RawURLEncoding.DecodeString(link)
	if err != nil || len(raw) != idSize+sha256.Size {
		return nil, ErrInvalid
	}
	i := b.all[hex.EncodeToString(raw[:idSize])]
	if i == nil || !hmac.Equal([]byte(b.link(i)), []byte(link)) {
		return nil, ErrInvalid
	}
	switch i.StateAt(b.o.Now()) {
	case Waiting:
		return i, nil
	case Active, Over:
		return nil, ErrUsed
	}
	return nil, ErrOver
}

// Use gives the invitation of a link to a person: once.
func (b *Book) Use(link, person string) (Invitation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, err := b.check(link)
	if err != nil {
		return Invitation{}, err
	}
	if i, err = b.do(act{Act: used, ID: i.ID, Person: person, Until: b.o.Now().UTC().Add(b.o.Access).Truncate(time.Second)}); err != nil {
		return Invitation{}, err
	}
	return *i, nil
}

// Revoke ends an invitation: its link, and the access of who used it.
func (b *Book) Revoke(id, by string) (Invitation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.all[id]
	switch {
	case b.closed:
		return Invitation{}, ErrClosed
	case i == nil || !i.over(b.o.Now()).IsZero():
		return Invitation{}, ErrUnknown
	}
	i, err := b.do(act{Act: revoked, ID: id, By: by})
	if err != nil {
		return Invitation{}, err
	}
	return *i, nil
}

// Opens reports whether that person reads by that invitation now. It fails
// closed.
func (b *Book) Opens(id, person string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.all[id]
	return !b.closed && i != nil && i.Person == person && i.StateAt(b.o.Now()) == Active
}

// Of are the invitations by which a person reads now, the latest first.
func (b *Book) Of(person string) []Invitation {
	now := b.o.Now()
	return b.list(func(i *Invitation) bool { return i.Person == person && i.StateAt(now) == Active })
}

// All are those that are kept, the latest first: one that is over is kept 400 days
// at least, and leaves at a start.
func (b *Book) All() []Invitation { return b.list(func(*Invitation) bool { return true }) }

func (b *Book) list(is func(*Invitation) bool) (list []Invitation) {
	b.mu.Lock()
	for _, i := range b.all {
		if is(i) {
			list = append(list, *i)
		}
	}
	b.mu.Unlock()
	slices.SortFunc(list, func(x, y Invitation) int { return cmp.Or(y.Made.Compare(x.Made), cmp.Compare(x.ID, y.ID)) })
	return list
}

// Person is the pseudonym of somebody whom a provider names: the same at each
// login, and of no use to who has not the key.
func (b *Book) Person(issuer, subject string) string {
	m := hmac.New(sha256.New, b.key)
	fmt.Fprintf(m, "rpn person 1\n%d\n%s\n%s", len(issuer), issuer, subject)
	return hex.EncodeToString(m.Sum(nil)[:12])
}
