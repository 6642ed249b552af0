// Package access decides who reads which figures and exchanges, for the pages
// of the portal and of the console: one place for all of them.
//
// A [Door] says who a client certificate stands for; the answer is a [Viewer],
// which nothing else makes. [Data.As] gives a viewer its [Reader], and a reader
// gives a [Subject]: the establishment, the insurer or the nation that a page is
// about, if the viewer may see it. Every question about figures, exchanges,
// certificates or the register is a method of a Subject or a Reader, so a page
// cannot read what its viewer may not see: it has nothing to read it with. All
// of it fails closed.
package access
