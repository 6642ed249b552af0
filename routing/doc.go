// Package routing decides who may reach whom, and where (profile section 6). It
// is pure: no network, no clock, no state. Its inputs are arguments, and its
// result is a [Route] that only it can make.
//
// It trusts the annuaire for where an AMC is, but not beyond the address
// policy: an answer counts only if its address is https, has a DNS name and
// belongs to a known domain of that AMC. Whether the name then leads to an
// allowed network is checked by the sender, at dial time.
package routing
