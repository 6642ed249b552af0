// Package portal is the pages that establishments, insurers, operators and the
// public read: what reached whom, how fast, what failed and who must act.
//
// Pages are made on the server, in French, and work without JavaScript: there
// is none. What a page may show is decided by [access] alone: a handler gets the
// Subject that its viewer may see, and has nothing else to read from. The same
// pages are the operator's console, on the operator's listener.
package portal
