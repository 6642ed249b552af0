package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Each command of ours that a page gives, in `code` or on a line to copy, is
// there, and so is each of its flags. A flag that a runbook gives alone is one
// of a command that the runbook gives.
func TestEveryCommandThatAPageGivesIsThere(t *testing.T) {
	t.Parallel()
	list, err := exec.Command("git", "-C", "../..", "ls-files", "*.md").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	inline := regexp.MustCompile("`(rpn [a-z][^`]*)`")
	alone := regexp.MustCompile("`(--[a-z][^`]*)`")
	toCopy := regexp.MustCompile(`(?m)^ {4,}(?:runuser -u rpn -- |ExecStart\w*=/usr/local/bin/)?(rpn [a-z](?:[^\n\\]|\\\n)*)`)
	given := 0
	for page := range strings.FieldsSeq(string(list)) {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		var commands []*cobra.Command
		for _, re := range []*regexp.Regexp{inline, toCopy} {
			for _, m := range re.FindAllStringSubmatch(string(text), -1) {
				given++
				if cmd := checkCommandLine(t, page, m[1]); cmd != nil {
					commands = append(commands, cmd)
				}
			}
		}
		if filepath.Base(filepath.Dir(page)) != "runbooks" {
			continue
		}
		for _, m := range alone.FindAllStringSubmatch(string(text), -1) {
			name := flagOf(strings.Fields(m[1])[0])
			if !slices.ContainsFunc(commands, func(cmd *cobra.Command) bool { return hasFlag(cmd, name) }) {
				t.Errorf("%s: no command of the page has the flag %s", page, name)
			}
		}
	}
	if given < 90 {
		t.Errorf("%d commands: are they read?", given)
	}
}

// checkCommandLine fails for a command or a flag that is not ours, and returns
// the command, nil where there is none. What follows a comment, a pipe or a
// redirection is not looked at.
func checkCommandLine(t *testing.T, page, line string) *cobra.Command {
	t.Helper()
	mine := regexp.MustCompile(`\s(#|\||>|2>|&&|;)`).Split(line+" ", 2)[0]
	words := strings.Fields(strings.ReplaceAll(mine, "\\\n", " "))[1:]
	root := rootCommand(streams{strings.NewReader(""), io.Discard, io.Discard})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	cmd, rest, err := root.Find(words)
	if err != nil {
		t.Errorf("%s: %q is no command of rpn: %v", page, line, err)
		return nil
	}
	if cmd.HasSubCommands() && len(rest) > 0 && regexp.MustCompile(`^[a-z]+$`).MatchString(rest[0]) {
		t.Errorf("%s: %q: %s has no command %s", page, line, cmd.CommandPath(), rest[0])
	}
	for _, w := range rest {
		if name := flagOf(w); name != "" && !hasFlag(cmd, name) {
			t.Errorf("%s: %q: %s has no flag %s", page, line, cmd.CommandPath(), name)
		}
	}
	return cmd
}

// flagOf is the name of the flag that a word gives, or "".
func flagOf(word string) string {
	name, _, _ := strings.Cut(strings.Trim(word, ".,:)»"), "=")
	if !strings.HasPrefix(name, "-") || name == "-" {
		return ""
	}
	return name
}

func hasFlag(cmd *cobra.Command, name string) bool {
	cmd.InitDefaultHelpFlag()
	if long, ok := strings.CutPrefix(name, "--"); ok {
		return cmd.Flag(long) != nil
	}
	return cmd.Flags().ShorthandLookup(name[1:2]) != nil || cmd.InheritedFlags().ShorthandLookup(name[1:2]) != nil
}
