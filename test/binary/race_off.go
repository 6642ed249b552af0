//go:build !race

package binary

const underRace = false
