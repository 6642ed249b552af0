//go:build race

package binary

const underRace = true
