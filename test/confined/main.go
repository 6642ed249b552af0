//go:build linux

// Command confined runs a program with what a systemd unit leaves it: its system
// calls (SystemCallFilter, SystemCallErrorNumber=EPERM), its capabilities (none),
// its umask. It is how a test plays deploy/systemd without systemd; what the unit
// says of files, devices and address families is not enforced.
//
//	confined deploy/systemd/rpn.service PROGRAM ARGUMENT...
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: confined UNIT PROGRAM ARGUMENT...")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "confined:", run(os.Args[1], os.Args[2:]))
	os.Exit(125)
}

// run becomes the program: it returns when that failed.
func run(unit string, args []string) error {
	text, err := os.ReadFile(unit)
	if err != nil {
		return err
	}
	set := settings(text)
	for _, must := range []string{"SystemCallFilter", "UMask"} {
		if len(set[must]) == 0 {
			return fmt.Errorf("%s has no %s", unit, must)
		}
	}
	allowed, err := syscalls(set["SystemCallFilter"])
	if err != nil {
		return err
	}
	if !slices.Equal(set["CapabilityBoundingSet"], []string{""}) || !slices.Equal(set["SystemCallErrorNumber"], []string{"EPERM"}) {
		return fmt.Errorf("%s has another CapabilityBoundingSet or SystemCallErrorNumber than this program knows", unit)
	}
	mask, err := strconv.ParseUint(set["UMask"][0], 8, 12)
	if err != nil {
		return err
	}
	syscall.Umask(int(mask))
	for c := uintptr(0); ; c++ { // a program of root would have them all
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); errors.Is(err, unix.EINVAL) {
			break // there are no more
		} else if err != nil && os.Geteuid() == 0 {
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
	filter := seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionErrno, // EPERM
		Syscalls:      []seccomp.SyscallGroup{{Action: seccomp.ActionAllow, Names: allowed}},
	}}
	if err := seccomp.LoadFilter(filter); err != nil {
		return err
	}
	return syscall.Exec(args[0], args, os.Environ())
}

// settings are the values of each key of the unit, in their order.
func settings(text []byte) map[string][]string {
	set := map[string][]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok && !strings.HasPrefix(key, "#") {
			set[key] = append(set[key], value)
		}
	}
	return set
}

// syscalls are the system calls that the lines of a SystemCallFilter leave: the
// first lists what is allowed, the others, with a ~, what is not.
func syscalls(lines []string) ([]string, error) {
	var allowed []string
	for i, line := range lines {
		list, minus := strings.CutPrefix(line, "~")
		if minus == (i == 0) {
			return nil, fmt.Errorf("SystemCallFilter=%s: the first line allows, the others take away", line)
		}
		var names []string
		for _, word := range strings.Fields(list) {
			more, err := members(word)
			if err != nil {
				return nil, err
			}
			names = append(names, more...)
		}
		if !minus {
			always, err := members("@default") // which systemd adds to what is allowed
			if err != nil {
				return nil, err
			}
			allowed = append(names, always...)
			continue
		}
		allowed = slices.DeleteFunc(allowed, func(name string) bool { return slices.Contains(names, name) })
	}
	here, err := arch.GetInfo("")
	if err != nil {
		return nil, err
	}
	slices.Sort(allowed)
	return slices.DeleteFunc(slices.Compact(allowed), func(name string) bool {
		_, known := here.SyscallNames[name]
		return !known
	}), nil
}

// members are the system calls of a group, or the one that is named.
func members(word string) (names []string, err error) {
	if !strings.HasPrefix(word, "@") {
		return []string{word}, nil
	}
	out, err := exec.Command("systemd-analyze", "syscall-filter", word).Output()
	if err != nil {
		return nil, fmt.Errorf("systemd-analyze syscall-filter %s: %w", word, err)
	}
	for line := range strings.Lines(string(out)) {
		switch name := strings.TrimSpace(line); {
		case name == "" || name == word || strings.HasPrefix(name, "#"):
		default:
			more, err := members(name)
			if err != nil {
				return nil, err
			}
			names = append(names, more...)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("systemd-analyze knows no system call of %s", word)
	}
	return names, nil
}
