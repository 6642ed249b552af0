package trust

import "slices"

// A Change is what a reload brings, read and accepted but not in use yet. Two
// steps let several parts change together or not at all.
type Change struct {
	What   []string // one English line for each thing that changes; none: nothing does
	commit func()
}

// NewChange is a change of these lines, which commit puts in use.
func NewChange(what []string, commit func()) Change { return Change{what, commit} }

// Commit puts the change in use. Handshakes under way end with what they began
// with.
func (c Change) Commit() {
	if c.commit != nil {
		c.commit()
	}
}

// join makes one Change of several, the lines of each under its name.
func join(names []string, changes []Change) Change {
	var all Change
	for i, c := range changes {
		for _, line := range c.What {
			all.What = append(all.What, names[i]+": "+line)
		}
	}
	if len(all.What) > 0 {
		changes = slices.Clone(changes)
		all.commit = func() {
			for _, c := range changes {
				c.Commit()
			}
		}
	}
	return all
}
