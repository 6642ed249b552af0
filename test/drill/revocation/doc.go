// Package revocation is the revocation drill: it opens connections of many
// establishments to the real binary, kept alive and resumed ones, then puts
// establishments out by each means there is, and measures how long each
// connection still lives after the change on disk. make drill-revocation plays
// it with thousands.
//
// It fails when the 99th percentile reaches -limit, when anything is accepted
// of somebody who is out, or when somebody else is disturbed.
package revocation
