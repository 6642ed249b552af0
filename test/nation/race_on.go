//go:build race

package nation

const underRace = true
