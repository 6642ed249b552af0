package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// schemaVersion is the version of the tables. A store of another one is
// rebuilt from the journal, which holds all that it is made of.
const schemaVersion = 1

// ErrSchema is why a store of another version is not opened.
var ErrSchema = errors.New("the store was made by another version: delete it, and `rpn indicators update` makes it anew from the journal")

// A Store holds the figures. It is safe for concurrent use; each journal has
// one writer.
type Store struct {
	db     *sql.DB
	d      dialect
	atOnce uint64 // records of one transaction
}

// A dialect is what SQLite and PostgreSQL write differently.
type dialect struct {
	postgres bool
	schema   []string
}

// Open opens the store at an address, and makes its tables when they are not
// there: "postgres://..." or the path of a SQLite file. The password of a
// PostgreSQL address never stands in an error.
func Open(ctx context.Context, address string) (*Store, error) {
	if IsPostgres(address) {
		return openPostgres(ctx, address)
	}
	return openSQLite(ctx, address)
}

// IsPostgres reports whether an address is one of PostgreSQL, and not a file.
func IsPostgres(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

func openSQLite(ctx context.Context, path string) (*Store, error) {
	// WAL: a page is read while the figures are written. NORMAL: a loss of
	// power takes the last transactions, with their positions: they are
	// projected again.
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(10000)", "foreign_keys(1)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	return made(ctx, &Store{db, dialect{schema: sqliteSchema}, recordsAtOnce}, path)
}

func openPostgres(ctx context.Context, address string) (*Store, error) {
	c, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("the address of PostgreSQL cannot be read") // pgx's error holds parts of it
	}
	where := fmt.Sprintf("PostgreSQL %s:%d/%s", c.Host, c.Port, c.Database)
	db := stdlib.OpenDB(*c)
	db.SetMaxOpenConns(8)
	return made(ctx, &Store{db, dialect{postgres: true, schema: postgresSchema}, recordsAtOnce}, where)
}

// made returns the store with its tables, or says which one cannot be opened.
func made(ctx context.Context, s *Store, where string) (*Store, error) {
	if err := s.migrate(ctx); err != nil {
		s.db.Close()
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return s, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }

const cellColumns = `grain, begins, structure, amc, service, version, code, owner, source`

// The tables. The key of cells begins with what a page asks for: a grain, a
// structure, an insurer, a period.
var sqliteSchema = []string{
	`CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS sources (source TEXT PRIMARY KEY, next BIGINT NOT NULL, last_leaf BLOB,
	 newest BIGINT NOT NULL, unreadable BIGINT NOT NULL, pruned BIGINT NOT NULL) WITHOUT ROWID`,
	`CREATE TABLE IF NOT EXISTS cells (` + cellTypes("BLOB") + `, PRIMARY KEY (grain, structure, amc, begins, service, version, code, owner, source)) WITHOUT ROWID`,
	`CREATE INDEX IF NOT EXISTS cells_by_amc ON cells (grain, amc, begins)`,
	`CREATE TABLE IF NOT EXISTS gaps (source TEXT, idx BIGINT, event TEXT NOT NULL, n BIGINT NOT NULL, since BIGINT NOT NULL, until BIGINT NOT NULL,
	 PRIMARY KEY (source, idx)) WITHOUT ROWID`,
}

var postgresSchema = []string{
	`CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS sources (source TEXT PRIMARY KEY, next BIGINT NOT NULL, last_leaf BYTEA,
	 newest BIGINT NOT NULL, unreadable BIGINT NOT NULL, pruned BIGINT NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS cells (` + cellTypes("BYTEA") + `, PRIMARY KEY (grain, structure, amc, begins, service, version, code, owner, source)) PARTITION BY RANGE (begins)`,
	`CREATE INDEX IF NOT EXISTS cells_by_amc ON cells (grain, amc, begins)`,
	`CREATE TABLE IF NOT EXISTS gaps (source TEXT, idx BIGINT, event TEXT NOT NULL, n BIGINT NOT NULL, since BIGINT NOT NULL, until BIGINT NOT NULL,
	 PRIMARY KEY (source, idx))`,
}

func cellTypes(blob string) string {
	var b strings.Builder
	b.WriteString(`grain TEXT NOT NULL, begins BIGINT NOT NULL, structure TEXT NOT NULL, amc TEXT NOT NULL, service SMALLINT NOT NULL,
	 version SMALLINT NOT NULL, code TEXT NOT NULL, owner TEXT NOT NULL, source TEXT NOT NULL`)
	for _, c := range columns {
		b.WriteString(", " + c + " BIGINT NOT NULL")
	}
	b.WriteString(", durations " + blob + " NOT NULL")
	return b.String()
}

// migrate makes the tables, and refuses those of another version.
func (s *Store) migrate(ctx context.Context) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		if s.d.postgres { // two instances that start at once
			if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(7280663)`); err != nil {
				return err
			}
		}
		for _, q := range s.d.schema {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		var v string
		err := tx.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'schema'`).Scan(&v)
		if errors.Is(err, sql.ErrNoRows) {
			_, err = tx.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('schema', '`+fmt.Sprint(schemaVersion)+`')`)
			return err
		}
		if err == nil && v != fmt.Sprint(schemaVersion) {
			return ErrSchema
		}
		return err
	})
}

// change does one transaction.
func (s *Store) change(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
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

// partition makes the partition of a month where PostgreSQL needs one.
func (s *Store) partition(ctx context.Context, tx *sql.Tx, begins int64) error {
	if !s.d.postgres {
		return nil
	}
	t := time.Unix(begins, 0).UTC()
	from := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	_, err := tx.ExecContext(ctx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS cells_%s PARTITION OF cells FOR VALUES FROM (%d) TO (%d)`,
		from.Format("2006_01"), from.Unix(), from.AddDate(0, 1, 0).Unix()))
	return err
}

// Prune deletes the figures of the periods that began before an instant.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM cells WHERE begins < `+fmt.Sprint(before.Unix())); err != nil {
		return err
	}
	if !s.d.postgres {
		return nil
	}
	rows, err := s.db.QueryContext(ctx, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent WHERE p.relname = 'cells'`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var old []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		month, err := time.Parse("cells_2006_01", name)
		if err == nil && !month.AddDate(0, 1, 0).After(before) {
			old = append(old, name)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, name := range old { // a name that parsed as a month
		if _, err := s.db.ExecContext(ctx, `DROP TABLE IF EXISTS `+name); err != nil {
			return err
		}
	}
	return nil
}
