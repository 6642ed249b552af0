package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/app"
	"github.com/piano-roc/rpn/app/config"
	"github.com/piano-roc/rpn/app/handover"
	"github.com/piano-roc/rpn/app/logsink"
	"github.com/piano-roc/rpn/app/systemd"
	"github.com/piano-roc/rpn/internal/strict"
)

func serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the RPN",
		Long: `Serve runs the RPN that the configuration describes, and logs on standard output, one JSON
object a line.

SIGTERM stops it: what is in flight finishes first (timeouts.stop). SIGHUP reads
the lists, certificates and trust stores again. rpn upgrade has another process
take over. Under systemd it tells when it is ready (Type=notify), answers the
watchdog, and takes the sockets named establishments and admin. It exits with 2 when the
configuration or the machine keeps it from starting: a line for each fault says why.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd, file) },
	}
	configFlag(cmd, &file)
	return cmd
}

// lastLines is how long the last lines of the log may take to be read.
const lastLines = 2 * time.Second

func serve(cmd *cobra.Command, file string) error {
	c, err := config.Read(file)
	if err != nil {
		return refused(oneLineEach(err))
	}
	tuneCollector(int64(c.Limits.Memory))
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	opts, err := given()
	if err != nil {
		return refused(err)
	}
	signal.Ignore(syscall.SIGPIPE) // a reader of the log that goes ends the log, not the RPN
	sink := logsink.New(cmd.OutOrStdout(), logsink.Options{})
	opts.Config, opts.LogSink, opts.Version = c, sink, version()
	opts.Log = slog.New(slog.NewJSONHandler(sink, &slog.HandlerOptions{Level: c.LogLevel()}))
	err = app.Run(cmd.Context(), opts, reload)
	ctx, cancel := context.WithTimeout(context.Background(), lastLines)
	defer cancel()
	sink.Close(ctx)
	var setup *config.SetupError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &setup), isStrict(err):
		return refused(oneLineEach(err))
	}
	return failed(err)
}

// given is what the service manager, or the process before this one, hands to
// this process.
func given() (o app.Options, err error) {
	if o.Manager, err = systemd.Find(); err != nil {
		return o, err
	}
	if o.Predecessor, err = handover.Find(); err != nil {
		return o, err
	}
	if o.Predecessor != nil {
		o.Listener, o.Admin = o.Predecessor.Establishments, o.Predecessor.Admin
		return o, nil
	}
	o.Listener, o.Admin, err = systemd.Sockets()
	return o, err
}

// oneLineEach writes every error on one line, for logs; `rpn check` shows the
// same with the lines of the file.
func oneLineEach(err error) error {
	var list strict.Errors
	if !errors.As(err, &list) {
		return err
	}
	lines := make([]error, len(list))
	for i := range list {
		lines[i] = errors.New(list[i].Error())
	}
	return errors.Join(lines...)
}

func isStrict(err error) bool {
	var list strict.Errors
	return errors.As(err, &list)
}
