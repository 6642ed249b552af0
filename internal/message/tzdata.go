package message

// Dates of the profile are days in France; a container has no zone database.
import _ "time/tzdata"
