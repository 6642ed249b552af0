// Package drill is the drill of the journal over several processes: two
// instances that are killed at any instant, and the PostgreSQL of both that is
// killed and restarted meanwhile. `make drill-journal` plays it with those of
// one journal (kill -9, damage, full and read-only disks, clocks that jump), and
// so does `make test` in small.
package drill
