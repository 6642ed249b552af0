package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/app/admin"
	"github.com/piano-roc/rpn/app/config"
)

func upgradeCommand() *cobra.Command {
	var file, program string
	cmd := &cobra.Command{
		Use:   "upgrade [--program PATH]",
		Short: "Have a new process take over from the running RPN, without losing an exchange",
		Long: `Upgrade has the running RPN start a program, its own as it is on disk now or
the one of --program, with the same arguments. The new process reads and checks
everything first; then it takes the sockets and the state folder, and the old one
ends the exchanges that it holds. When the new one does not come to be ready the
old one goes on, and upgrade says why and exits with 1.

To go back, name the program of before: the way is the same.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return askUpgrade(cmd, file, program) },
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&program, "program", "", "the rpn that takes over; default: the one that runs, as it is on disk now")
	cmd.MarkFlagFilename("program")
	return cmd
}

// askUpgrade asks by the unix socket, and prints each line as it comes.
func askUpgrade(cmd *cobra.Command, file, program string) error {
	c, err := config.Read(file)
	if err != nil {
		return refused(err)
	}
	if c.AdminSocket == "" {
		return refused(errors.New("the RPN has no unix socket by which it could be asked: give admin_socket, or state, in " + file))
	}
	if program != "" {
		if program, err = filepath.Abs(program); err != nil {
			return refused(err)
		}
	}
	request, err := http.NewRequestWithContext(cmd.Context(), http.MethodPost, "http://localhost/-/upgrade?"+url.Values{"program": {program}}.Encode(), nil)
	if err != nil {
		return refused(err)
	}
	answer, err := admin.Client(c.AdminSocket).Do(request)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return refused(fmt.Errorf("%s may not be opened by this user: run this as the user of the RPN, or in its group", c.AdminSocket))
	case err != nil:
		return failed(fmt.Errorf("no RPN answers at %s: is it running? (%w)", c.AdminSocket, err))
	}
	defer answer.Body.Close()
	last := ""
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		last = lines.Text()
		if why, not := strings.CutPrefix(last, admin.NotUpgraded+" "); not {
			return failed(errors.New("the new process does not take over, " + why))
		}
		if answer.StatusCode == http.StatusOK {
			fmt.Fprintln(cmd.OutOrStdout(), last)
		}
	}
	if answer.StatusCode != http.StatusOK {
		return failed(errors.New(last))
	}
	if last != admin.Upgraded {
		return failed(errors.New("the old process ended before it said that the new one serves: look at /readyz and at the log"))
	}
	return nil
}
