package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// schemaVersion is the version of the tables of figures. Those of another one are
// made again from the journal, as far as the journal goes back.
const schemaVersion = "4"

// ErrSchema is why figures are neither read nor written: another version of rpn
// made their tables, and this one does not make them again while that one uses them.
var ErrSchema = errors.New("another version of rpn made the tables of figures: use one version for all that open the store; at its start, `rpn serve` makes them again from the journal, and so does `rpn indicators update`")

// A Store holds the figures. It is safe for concurrent use; each journal has
// one writer.
type Store struct {
	db      *sql.DB
	d       dialect
	atOnce  uint64 // records of one transaction
	weight  int    // of one transaction (sums.weight)
	minFree uint64 // bytes left on the disk of dir; 0: they are not looked at
	dir     string // of the file
	free    func(dir string) (uint64, error)
}

// A dialect is what SQLite and PostgreSQL write differently.
type dialect struct {
	postgres bool
	blob     string // the type of bytes
	keyed    string // the end of a table that is read by its key
	parted   string // the end of the table of cells
}

var (
	sqlite     = dialect{blob: "BLOB", keyed: " WITHOUT ROWID", parted: " WITHOUT ROWID"}
	postgreSQL = dialect{postgres: true, blob: "BYTEA", parted: " PARTITION BY RANGE (begins)"}
)

// Options are what a store may need beside its address.
type Options struct {
	Password string // of PostgreSQL; "": as the address and the environment say

	// Verified refuses a PostgreSQL on another machine whose name is not verified
	// by TLS.
	Verified bool

	// MinFree is how many bytes the disk of a file must have left for figures to
	// be added to it: below, Project fails with ErrNoRoom. 0: it is not looked at.
	MinFree uint64

	// Reads is of one who only reads figures: those of another version are refused
	// (ErrSchema), and not made again.
	Reads bool

	// Dial opens the connections to PostgreSQL. Nil: pgx does. A socket of this
	// machine is not dialled by it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Open opens the store at an address, and makes its tables when they are not
// there, or of another version: "postgres://..." or the path of a SQLite file. The password of a
// PostgreSQL address never stands in an error.
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	if IsPostgres(address) {
		return openPostgres(ctx, address, o)
	}
	return openSQLite(ctx, address, o)
}

func openSQLite(ctx context.Context, path string, o Options) (*Store, error) {
	// WAL: a page is read while the figures are written. NORMAL: a loss of
	// power takes the last transactions, with their positions: they are
	// projected again. 64 MiB of cache: a catch-up of hundreds of thousands of
	// records is one transaction.
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(10000)", "cache_size(-65536)", "temp_store(MEMORY)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	return made(ctx, &Store{db: db, d: sqlite, minFree: o.MinFree, dir: filepath.Dir(path)}, o, path)
}

// connecting bounds a connection to PostgreSQL whose address does not bound it.
const connecting = 10 * time.Second

func openPostgres(ctx context.Context, address string, o Options) (*Store, error) {
	c, err := parsePostgres(address, o.Verified)
	if err != nil {
		return nil, err
	}
	if o.Password != "" {
		c.Password = o.Password
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connecting
	}
	if o.Dial != nil && !strings.HasPrefix(c.Host, "/") {
		c.DialFunc = o.Dial
		c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil } // Dial does it
	}
	where := fmt.Sprintf("PostgreSQL %s:%d/%s", c.Host, c.Port, c.Database)
	db := stdlib.OpenDB(*c)
	db.SetMaxOpenConns(8)
	return made(ctx, &Store{db: db, d: postgreSQL}, o, where)
}

// made returns the store with its tables, or says which one cannot be opened.
func made(ctx context.Context, s *Store, o Options, where string) (*Store, error) {
	s.atOnce, s.weight, s.free = recordsAtOnce, weightAtOnce, freeBytes
	if err := s.migrate(ctx, o); err != nil {
		s.db.Close()
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return s, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }

// kept makes the tables that every version has and none drops: of letters that
// were sent nothing else knows.
func (d dialect) kept() []string {
	return []string{
		`CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)`,
	}
}

// derived makes the tables of figures again. The key of a row begins with what
// a page asks for: an establishment, a period.
func (d dialect) derived() []string {
	return []string{
		`DROP TABLE IF EXISTS journals`, `DROP TABLE IF EXISTS cells`, `DROP TABLE IF EXISTS gaps`,
		`CREATE TABLE journals (origin TEXT PRIMARY KEY, id SMALLINT NOT NULL UNIQUE, next BIGINT NOT NULL, last_leaf ` + d.blob + `, runs ` + d.blob + `,
		 newest BIGINT NOT NULL, unreadable BIGINT NOT NULL, pruned BIGINT NOT NULL, reached BIGINT NOT NULL, heard BIGINT NOT NULL)` + d.keyed,
		`CREATE TABLE cells (kind TEXT NOT NULL, structure TEXT NOT NULL, begins BIGINT NOT NULL, amc TEXT NOT NULL, journal SMALLINT NOT NULL,
		 data ` + d.blob + ` NOT NULL, PRIMARY KEY (kind, structure, begins, amc, journal))` + d.parted,
		`CREATE INDEX cells_by_amc ON cells (amc, begins) WHERE kind = 'p'`,
		`CREATE TABLE gaps (origin TEXT, idx BIGINT, event TEXT NOT NULL, n BIGINT NOT NULL, since BIGINT NOT NULL, until BIGINT NOT NULL,
		 PRIMARY KEY (origin, idx))` + d.keyed,
	}
}

const readSchema = `SELECT value FROM meta WHERE name = 'schema'`

// migrate makes the tables that are not there, and those of figures again when
// they are of another version. A store that has them all is not written.
func (s *Store) migrate(ctx context.Context, o Options) error {
	var v string
	var letters int
	known := s.db.QueryRowContext(ctx, readSchema).Scan(&v) == nil // else: no table, or no connection: the next statement says which
	switch {
	case known && v != schemaVersion && o.Reads:
		return ErrSchema
	case known && v == schemaVersion && (o.Reads || s.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM letters, outages, replays WHERE 1 = 0`).Scan(&letters) == nil):
		return nil
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		if err := execAll(ctx, tx, slices.Concat(s.d.kept(), s.d.letterTables(), s.d.outageTables())); err != nil {
			return err
		}
		// Another process may have made them meanwhile.
		if err := tx.QueryRowContext(ctx, readSchema).Scan(&v); err == nil && v == schemaVersion {
			return nil
		} else if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err := execAll(ctx, tx, s.d.derived()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('schema', '`+schemaVersion+`') ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
		return err
	})
}

func execAll(ctx context.Context, tx *sql.Tx, statements []string) error {
	for _, q := range statements {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// oneWriter is the lock of PostgreSQL that a transaction of ours holds.
const oneWriter = `SELECT pg_advisory_xact_lock(7280663)`

// change does one transaction, after those that other processes have begun: a
// position that is read in it is the last one.
func (s *Store) change(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil) // of SQLite: IMMEDIATE, one at a time
	if err != nil {
		return err
	}
	if s.d.postgres {
		if _, err := tx.ExecContext(ctx, oneWriter); err != nil {
			return errors.Join(err, ignoreDone(tx.Rollback()))
		}
	}
	if err := do(tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// monthOf is the first of the month of an instant.
func monthOf(begins int64) time.Time {
	t := time.Unix(begins, 0).UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// partition makes the partition of a month of PostgreSQL.
func partition(ctx context.Context, tx *sql.Tx, from time.Time) error {
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS cells_%s PARTITION OF cells FOR VALUES FROM (%d) TO (%d)`,
		from.Format("2006_01"), from.Unix(), from.AddDate(0, 1, 0).Unix()))
	return err
}
