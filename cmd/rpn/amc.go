package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/piano-roc/rpn/internal/durable"
	"github.com/piano-roc/rpn/internal/roc"
	"github.com/piano-roc/rpn/register"
	"github.com/piano-roc/rpn/register/ops"
)

func amcCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "amc",
		Short: "Raccorde un organisme complémentaire : son dossier, ses essais, ses maintenances",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(amcKitCommand(), amcTestCommand(), amcDrainCommand(), amcResumeCommand())
	return cmd
}

// amcFlags say which AMC of which register is meant.
type amcFlags struct {
	register registerFlags
	number   string
}

func (f *amcFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.register.config, "config", "c", "", "la configuration, qui nomme la liste des organismes (par défaut : amc.yaml ici)")
}

// file reads the list of AMCs, and the number.
func (f *amcFlags) file(number string) (ops.File, roc.NumeroAMC, error) {
	n, err := roc.ParseNumeroAMC(number)
	if err != nil {
		return ops.File{}, n, refused(fmt.Errorf("%q n'est pas un numéro d'organisme : 8 à 10 chiffres", number))
	}
	pair, err := f.register.files()
	if err != nil {
		return ops.File{}, n, refused(err)
	}
	data, err := os.ReadFile(pair.AMC)
	if err != nil {
		return ops.File{}, n, refused(err)
	}
	return ops.File{Name: pair.AMC, Data: data}, n, nil
}

func amcDrainCommand() *cobra.Command {
	var f amcFlags
	var until, motif string
	cmd := &cobra.Command{
		Use:   "drain NUMÉRO --until FIN",
		Short: "Met un organisme en maintenance jusqu'à une fin connue",
		Long: `Écrit une maintenance dans la ligne de l'organisme (amc.yaml), de maintenant à FIN,
sans toucher au reste du fichier. Le RPN en service relit le registre de lui-même ;
les établissements lisent alors RPN307, la fin de la maintenance et le délai
d'attente (Retry-After), et rien n'est transmis à l'organisme. À la fin, il
est de nouveau joint sans autre geste.

FIN est un instant (2026-12-01T22:00:00+01:00), un jour (le dernier) ou une durée
(2h30m), 31 jours au plus.`,
		Example: `  rpn amc drain 0099000003 --until 2h --motif "mise à jour"
  rpn amc drain 0099000003 -c /etc/rpn/rpn.yaml --until 2026-12-01T22:00:00+01:00`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			end, err := maintenanceEnd(until, now)
			if err != nil {
				return refused(err)
			}
			return f.change(cmd.OutOrStdout(), args[0], func(file ops.File, n roc.NumeroAMC) ([]byte, string, error) {
				text, err := ops.Drain(file, n, now, end, motif)
				return text, fmt.Sprintf("L'organisme %s est en maintenance jusqu'au %s.", n, register.InParis(end).Format("02/01/2006 15:04 MST")), err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&until, "until", "", "la fin : un instant, un jour ou une durée")
	cmd.Flags().StringVar(&motif, "motif", "", "pourquoi, pour les exploitants")
	cmd.MarkFlagRequired("until")
	return cmd
}

func amcResumeCommand() *cobra.Command {
	var f amcFlags
	cmd := &cobra.Command{
		Use:     "resume NUMÉRO",
		Short:   "Termine maintenant la maintenance d'un organisme",
		Example: "  rpn amc resume 0099000003",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.change(cmd.OutOrStdout(), args[0], func(file ops.File, n roc.NumeroAMC) ([]byte, string, error) {
				text, err := ops.Resume(file, n, time.Now())
				return text, fmt.Sprintf("La maintenance de l'organisme %s est terminée.", n), err
			})
		},
	}
	f.add(cmd)
	return cmd
}

// change edits the list of AMCs.
func (f *amcFlags) change(out io.Writer, number string, edit func(ops.File, roc.NumeroAMC) ([]byte, string, error)) error {
	file, n, err := f.file(number)
	if err != nil {
		return err
	}
	text, says, err := edit(file, n)
	if err != nil {
		return failed(err)
	}
	if err := durable.WriteFile(file.Name, text, 0o644); err != nil {
		return failed(err)
	}
	fmt.Fprintf(out, "%s\n%s est écrit ; le RPN en service le relit de lui-même (tout de suite : rpn reload).\n", says, file.Name)
	return nil
}

// maintenanceEnd reads --until.
func maintenanceEnd(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(d).Truncate(time.Second), nil
	}
	m, err := register.ParseMoment(s)
	if err != nil {
		return time.Time{}, fmt.Errorf("--until %q : écrivez un instant avec son fuseau (2026-12-01T22:00:00+01:00), un jour (2026-12-01) ou une durée (2h30m)", s)
	}
	return m.Last().Add(time.Nanosecond).Truncate(time.Second), nil // a day is included whole
}
