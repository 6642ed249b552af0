package dossiers

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/message"
	"github.com/piano-roc/rpn/internal/redis"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/internal/secret"
	"github.com/piano-roc/rpn/internal/xmlsig"
)

// Options are what Keys need. Days, Log and Now are required.
type Options struct {
	Days int // of a period

	// Redis and Secrets share the keys among the instances; nil: this one is alone.
	Redis   *redis.Client
	Secrets *secret.Ring

	File string // where the keys are kept for a restart; "": nowhere

	Log *slog.Logger
	Now func() time.Time
}

// Keys are the key of this period and, shortly before its end, that of the next
// one. Safe for concurrent use.
type Keys struct {
	o     Options
	held  atomic.Pointer[[]held]
	alone bool // it was logged that this instance has keys of its own
	unfit bool // it was logged that the file cannot be written
}

// held is a key and the period that it serves for.
type held struct {
	period
	key    message.DossierKey
	shared bool // the other instances have it
}

const (
	look  = 30 * time.Second // how often the keys are looked at
	early = 15 * time.Minute // before its period, a key is there
)

// Open reads the keys that were kept, and makes what is missing where no other
// instance may have it. Call Run.
func Open(o Options) *Keys {
	k := &Keys{o: o}
	k.held.Store(&[]held{})
	now := o.Now()
	list, err := k.read()
	if err != nil {
		o.Log.Error("the keys of dossiers that were kept cannot be read: dossiers of before the start are not joined to those after it", "event", "dossiers_unreadable", "error", err.Error())
	}
	k.keep(list, now)
	if o.Redis == nil {
		k.renew(context.Background(), now)
	}
	return k
}

// Link is the link of a checked request; zero: it has none, or there is no key
// yet.
func (k *Keys) Link(es roc.StructureID, key roc.Key, c *xmlsig.Checked, at time.Time) roc.Dossier {
	for _, h := range *k.held.Load() {
		if !at.Before(h.from) && at.Before(h.until) {
			return h.key.Link(es, key, c)
		}
	}
	return roc.Dossier{}
}

// Run makes, shares and drops keys until ctx ends. A key is dropped at the end of
// its period, and not at the next look.
func (k *Keys) Run(ctx context.Context) {
	for {
		now := k.o.Now()
		k.renew(ctx, now)
		wait := look
		if end := periodOf(now, k.o.Days).until.Sub(now); end < wait {
			wait = max(end, time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// renew drops the keys whose period is over, and sees that those of now and of
// soon are there, and shared.
func (k *Keys) renew(ctx context.Context, now time.Time) {
	list := []held{}
	for _, p := range k.wanted(now) {
		h := held{period: p}
		for _, had := range *k.held.Load() {
			if had.number == p.number {
				h = had
			}
		}
		if k.o.Redis != nil && ctx.Err() == nil {
			h = k.share(ctx, h, now)
		}
		if h.key.IsZero() {
			h.key = message.NewDossierKey()
		}
		list = append(list, h)
	}
	if k.keep(list, now) {
		k.write()
	}
}

// wanted are the periods that need a key.
func (k *Keys) wanted(now time.Time) []period {
	list := []period{periodOf(now, k.o.Days)}
	if next := periodOf(now.Add(early), k.o.Days); next.number != list[0].number {
		list = append(list, next)
	}
	return list
}

// keep holds the keys that serve now or soon, and no other; it reports whether
// anything changed.
func (k *Keys) keep(list []held, now time.Time) (changed bool) {
	kept := []held{}
	for _, h := range list {
		if h.until.After(now) && !h.from.After(now.Add(early)) {
			kept = append(kept, h)
		}
	}
	before := *k.held.Load()
	changed = len(kept) != len(before)
	for i := range kept {
		changed = changed || string(kept[i].key.Secret()) != string(before[i].key.Secret())
	}
	k.held.Store(&kept)
	return changed
}

// purpose is what a sealed key is for: one of another period or of other days
// does not open.
func (k *Keys) purpose(number int64) string { return fmt.Sprintf("dossiers %d %d", k.o.Days, number) }

// share agrees with the other instances on a key: the first one that puts it into
// Redis gives it to all. It fails open: a Redis that is lost, or holds what cannot
// be opened, leaves this instance with a key of its own.
func (k *Keys) share(ctx context.Context, h held, now time.Time) held {
	name := fmt.Sprintf("dossiers:%d:%d", k.o.Days, h.number)
	found, err := k.o.Redis.Get(ctx, name)
	if errors.Is(err, redis.ErrNone) {
		offer := h.key
		if offer.IsZero() {
			offer = message.NewDossierKey()
		}
		var first bool
		if first, err = k.o.Redis.SetNew(ctx, name, k.o.Secrets.Seal(k.purpose(h.number), offer.Secret()), h.until.Sub(now)); first {
			h.key, h.shared = offer, true
			return k.together(h)
		}
		if err == nil {
			found, err = k.o.Redis.Get(ctx, name)
		}
	}
	var plain []byte
	if err == nil {
		plain, err = k.o.Secrets.Open(k.purpose(h.number), found)
	}
	var theirs message.DossierKey
	if err == nil {
		theirs, err = message.ParseDossierKey(plain)
	}
	if err != nil {
		if ctx.Err() == nil && !h.shared && !k.alone {
			k.alone = true
			k.o.Log.Warn("the key of dossiers cannot be shared: dossiers are linked within this instance alone", "event", "dossiers_alone", "error", err.Error())
		}
		return h
	}
	h.key, h.shared = theirs, true
	return k.together(h)
}

// together notes that the keys are shared.
func (k *Keys) together(h held) held {
	if k.alone {
		k.alone = false
		k.o.Log.Info("the key of dossiers is shared: dossiers are linked over all instances from now on", "event", "dossiers_shared")
	}
	return h
}

// The file of the keys: a line that names its form, then for each key its
// period's days and number, and the key in hexadecimal, sealed where there are
// secrets. It is replaced whole: of a key that was dropped only what the disk
// keeps of deleted files is left.
const fileForm = "rpn-dossiers 1"

func (k *Keys) write() {
	if k.o.File == "" {
		return
	}
	var b strings.Builder
	b.WriteString(fileForm + "\n")
	for _, h := range *k.held.Load() {
		secret := h.key.Secret()
		if k.o.Secrets != nil {
			secret = k.o.Secrets.Seal(k.purpose(h.number), secret)
		}
		fmt.Fprintf(&b, "%d %d %s\n", k.o.Days, h.number, hex.EncodeToString(secret))
	}
	err := durable.WriteFile(k.o.File, []byte(b.String()), 0o600)
	if err != nil && !k.unfit {
		k.o.Log.Error("the keys of dossiers cannot be kept: after a restart dossiers are not joined to those before it", "event", "dossiers_unwritten", "error", err.Error())
	}
	k.unfit = err != nil
}

// largestFile is more than two keys take.
const largestFile = 4096

// Forget deletes the file of the keys; "" is none.
func Forget(file string) error {
	if file == "" {
		return nil
	}
	if err := durable.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// read reads what write wrote. A line that is no key, or is sealed by other
// secrets, is left out with an error; keys of other days are left out.
func (k *Keys) read() (list []held, err error) {
	if k.o.File == "" {
		return nil, nil
	}
	text, err := os.ReadFile(k.o.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && len(text) > largestFile {
		err = errors.New("it is too long")
	}
	if err != nil {
		return nil, err
	}
	return k.parse(string(text))
}

func (k *Keys) parse(text string) (list []held, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != fileForm {
		return nil, errors.New("it is not a file of keys of dossiers")
	}
	for n, line := range lines[1:] {
		h, days, bad := k.parseLine(line)
		switch {
		case bad != nil:
			err = errors.Join(err, fmt.Errorf("line %d: %w", n+2, bad)) // which says nothing of the key
		case days == k.o.Days:
			list = append(list, h)
		}
	}
	return list, err
}

var errLine = errors.New("it is no key")

func (k *Keys) parseLine(line string) (h held, days int, err error) {
	parts := strings.Split(line, " ")
	if len(parts) != 3 {
		return h, 0, errLine
	}
	days, bad := strconv.Atoi(parts[0])
	number, worse := strconv.ParseInt(parts[1], 10, 64)
	secret, worst := hex.DecodeString(parts[2])
	if bad != nil || worse != nil || worst != nil || days < 1 || number < 0 || number > 1<<32 {
		return h, 0, errLine
	}
	if days != k.o.Days {
		return h, days, nil
	}
	if k.o.Secrets != nil {
		if secret, err = k.o.Secrets.Open(k.purpose(number), secret); err != nil {
			return h, 0, err
		}
	}
	if h.key, err = message.ParseDossierKey(secret); err != nil {
		return h, 0, errLine
	}
	h.period = periodOf(time.Date(1970, 1, 5+days*int(number), 12, 0, 0, 0, time.UTC), days)
	return h, days, nil
}
