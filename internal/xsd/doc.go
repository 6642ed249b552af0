// Package xsd reads values in the whole lexical space of their XML Schema type
// (https://www.w3.org/TR/xmlschema-2/), white space collapsed first: what a
// Java or .NET program may write for a date or a boolean is read, and nothing
// else. What the profile narrows is a pattern in its schemas.
package xsd
