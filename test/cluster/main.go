// Command cluster runs a real Kubernetes on this machine, from Go modules alone: no container engine and no image
// registry is needed. Each cluster is one node in namespaces of its own. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const usage = `usage: cluster [--name NAME] COMMAND

  build [PART...]   build what a cluster runs (parts: kubernetes, containers, dns, cert-manager); print the folders of the programs
  up                build, then start the cluster; nothing is done if it runs. --without cert-manager: a cluster that has none
  down              stop the cluster and remove everything of it
  status            tell whether the cluster is up; exit status 1 if not
  load ARCHIVE...   load images from archives of docker save
  kubectl ARGS...   run kubectl against the cluster
  exec COMMAND...   run a command in the cluster's network, where addresses of pods and Services can be reached
  env               print the cluster's paths as shell assignments

NAME defaults to $CLUSTER_NAME, then to "flight". Clusters of different names can be up at the same time.
`

// errUsage is the error of a command line that makes no sense; what is wrong was said already.
var errUsage = errors.New("usage")

// usageError is the error of flags that could not be parsed.
func usageError(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return errUsage
}

// patience is how long after an interrupt further ones are taken for the same.
const patience = 2 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// Another interrupt ends the program at once, and the next command cleans up; but only after a moment, because some
	// programs pass one interrupt on twice, to the process and to its group.
	context.AfterFunc(ctx, func() { time.AfterFunc(patience, stop) })
	err := dispatch(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil:
		return
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		progress("%v", err)
		os.Exit(1)
	}
}

// dispatch runs the command that the arguments name.
func dispatch(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	name := flags.String("name", nameFromEnvironment(), "")
	if err := flags.Parse(args); err != nil {
		return usageError(err)
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return errUsage
	}
	// Tools of the system are in folders that not every root shell has in its PATH.
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin"); err != nil {
		return err
	}
	home, err := homeFolder()
	if err != nil {
		return err
	}
	c, err := newCluster(*name, home)
	if err != nil {
		return err
	}
	return execute(ctx, commandLine{cluster: c, home: home, command: flags.Arg(0), args: flags.Args()[1:]})
}

func nameFromEnvironment() string {
	if name := os.Getenv(nameVariable); name != "" {
		return name
	}
	return defaultName
}

// A commandLine is what the user asked for.
type commandLine struct {
	cluster cluster
	home    string
	command string
	args    []string
}

func execute(ctx context.Context, line commandLine) error {
	switch line.command {
	case "build":
		return line.build(ctx)
	case "up":
		return line.up(ctx)
	case "down":
		return line.down(ctx)
	case "status":
		return line.status(ctx)
	case "load":
		return line.load(ctx)
	case "kubectl":
		return line.inNetwork(append([]string{"kubectl"}, line.args...))
	case "exec":
		return line.exec()
	case "env":
		return line.env(ctx)
	default:
		fmt.Fprintf(os.Stderr, "cluster: there is no command %q\n%s", line.command, usage)
		return errUsage
	}
}

// noArguments refuses arguments to commands that take none.
func (line commandLine) noArguments() error {
	if len(line.args) == 0 {
		return nil
	}
	fmt.Fprintf(os.Stderr, "cluster: %s takes no arguments, but got %s\n", line.command, strings.Join(line.args, " "))
	return errUsage
}
