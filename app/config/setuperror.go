package config

// A SetupError is something of the configuration or of the machine that keeps
// the RPN from starting: what, where, and what to do, in one line. The program
// exits with status 2.
type SetupError struct {
	What   string
	Remedy string
	Cause  error // or nil
}

// Error says what is wrong and what to do, in one line.
func (e *SetupError) Error() string { return e.What + "; " + e.Remedy }

// Unwrap returns the cause.
func (e *SetupError) Unwrap() error { return e.Cause }
